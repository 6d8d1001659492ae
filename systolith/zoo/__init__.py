"""Networks that come with the project: one that reads digits, and random ones for tests."""
