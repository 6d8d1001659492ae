"""Cycles, computed from descriptors alone: what every choice of the compiler is made by."""
