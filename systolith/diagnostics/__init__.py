"""Tests that run on a device: a self-test, and a campaign of injected faults."""
