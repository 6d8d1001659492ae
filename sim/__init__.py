"""Simulation: golden models, benches, compiled cores."""
