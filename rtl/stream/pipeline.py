"""Registers of a pipeline that advances as one."""

from amaranth import *

__all__ = ["pipeline"]


def pipeline(m, enable, value, name, cycles=1, *, reset_less=True):
    """``value``, ``cycles`` cycles with ``enable`` later."""
    value = Value.cast(value)
    for cycle in range(cycles):
        stage = Signal(value.shape(), name=f"{name}_{cycle + 1}", reset_less=reset_less)
        with m.If(enable):
            m.d.sync += stage.eq(value)
        value = stage
    return value
