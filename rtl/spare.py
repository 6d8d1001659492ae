from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Spare"]


class Spare(wiring.Component):
    """Cuts a stream where it leads from one unit to another: ``i.ready`` is a register, so that
    nobody's halt runs through more units in a cycle. What is not taken at once waits in a spare
    register.

    Parameters
    ----------
    payload : shape-like
    latency : :class:`int`
        0: ``o`` depends combinationally on ``i``. 1: it is a register.

    Members
    -------
    i, o : ``In(stream.Signature(payload))``, ``Out(stream.Signature(payload))``
    """

    def __init__(self, payload, *, latency=0):
        self.latency = latency
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    def elaborate(self, platform):
        m = Module()
        spare, full = Signal.like(self.i.payload, reset_less=True), Signal()
        valid, payload, ready = Signal(), Signal.like(self.i.payload), Signal()
        m.d.comb += [
            self.i.ready.eq(~full),
            valid.eq(full | self.i.valid),
            payload.eq(Mux(full, spare, self.i.payload)),
        ]
        m.d.sync += full.eq(valid & ~ready)
        with m.If(~full):
            m.d.sync += spare.eq(self.i.payload)
        if self.latency:
            m.d.comb += ready.eq(~self.o.valid | self.o.ready)
            with m.If(ready):
                m.d.sync += [self.o.valid.eq(valid), self.o.payload.eq(payload)]
        else:
            m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(payload),
                         ready.eq(self.o.ready)]
        return m
