"""Devices and the flow from a core to its figures on one of them."""
