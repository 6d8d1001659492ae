"""Devices and boards: bitstreams and how they are loaded, place and route, reports."""
