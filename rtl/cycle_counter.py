from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CycleCounter"]


class CycleCounter(wiring.Component):
    """Counts the cycles of a run, both ends included.

    Members
    -------
    restart : ``In(1)``
        The next ``first`` begins a new count.
    first, last : ``In(1)``
        A transfer in; a transfer out.
    cycles : ``Out(32)``
        Cycles from the first ``first`` to the latest ``last``.
    """

    restart: In(1)
    first: In(1)
    last: In(1)
    cycles: Out(32)

    def elaborate(self, platform):
        m = Module()
        running = Signal()
        now = Signal(32, init=1)  # cycles up to and including this one
        with m.If(running | self.first):
            m.d.sync += [running.eq(1), now.eq(now + 1)]
        with m.If(self.last):
            m.d.sync += self.cycles.eq(now)
        with m.If(self.restart):
            m.d.sync += [running.eq(0), now.eq(1)]
        return m
