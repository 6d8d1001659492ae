"""What layers and whole networks cost, beside their floors and what others have published."""
