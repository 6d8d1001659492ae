"""Addresses in the activation memory."""
