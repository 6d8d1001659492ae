"""Models of vendor primitives, and simulation of designs that instantiate them."""

from sim.primitives.netlist import load, models, run

__all__ = ["load", "models", "run"]
