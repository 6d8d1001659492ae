from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.validate import boolean, integer
from rtl.validate import shape as check_shape

__all__ = ["Delay"]


class Delay(wiring.Component):
    """A delay line: a chain of registers with a tap after each.

    Parameters
    ----------
    shape : shape-like
        Shape of the value that is delayed.
    cycles : :class:`int`
        Length of the chain, 0 or more.
    reset_less : :class:`bool`
        Whether the registers are left out of reset, as those of data may be.

    Members
    -------
    i : ``In(shape)``
    o : ``Out(shape)``
        ``i``, ``cycles`` cycles later. ``taps[n]`` is ``i`` after ``n`` cycles.
    """

    def __init__(self, shape, cycles, *, reset_less=True):
        check_shape("shape", shape)
        self.cycles = integer("cycles", cycles, 0, 1 << 16)
        boolean("reset_less", reset_less)
        super().__init__({"i": In(shape), "o": Out(shape)})
        self._registers = [Signal(shape, name=f"after_{n + 1}", reset_less=reset_less)
                           for n in range(self.cycles)]
        self.taps = [self.i, *self._registers]

    def elaborate(self, platform):
        m = Module()
        for before, after in zip(self.taps, self._registers, strict=False):
            m.d.sync += after.eq(before)
        m.d.comb += self.o.eq(self.taps[-1])
        return m
