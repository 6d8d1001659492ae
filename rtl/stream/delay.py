from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.validate import integer

__all__ = ["Delay"]


class Delay(wiring.Component):
    """A chain of registers with every tap in reach.

    Parameters
    ----------
    shape : shape-like
        What is delayed.
    cycles : :class:`int`
        Length of the chain, 0 or more.
    reset_less : :class:`bool`
        Leave the registers out of reset, as data may be.

    Members
    -------
    i : ``In(shape)``
    o : ``Out(shape)``
        ``i``, ``cycles`` cycles later. ``taps[n]`` is ``i`` after ``n`` cycles.
    """

    def __init__(self, shape, cycles, *, reset_less=True):
        self.cycles = integer("cycles", cycles, 0, 1 << 16)
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
