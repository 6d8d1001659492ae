from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.validate import one_of, shape

__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """A skid buffer at the boundary of two units: ``i.ready`` is a register, so that a stall does
    not run combinationally through several units. A payload that is not taken at once waits in a
    spare register. Throughput is one transfer a cycle.

    Parameters
    ----------
    payload : shape-like
    latency : :class:`int`
        0: ``o`` depends combinationally on ``i``. 1: it does not, as in a full register slice.

    Members
    -------
    i, o : ``In(stream.Signature(payload))``, ``Out(stream.Signature(payload))``
    """

    def __init__(self, payload, *, latency=0):
        shape("payload", payload)
        self.latency = one_of("latency", latency, (0, 1))
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    def elaborate(self, platform):
        m = Module()
        if self.latency:
            self._two_slots(m)
            return m
        spare, full = Signal.like(self.i.payload, reset_less=True), Signal()
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(full | self.i.valid),
            self.o.payload.eq(Mux(full, spare, self.i.payload)),
        ]
        m.d.sync += full.eq(self.o.valid & ~self.o.ready)
        with m.If(~full):
            m.d.sync += spare.eq(self.i.payload)
        return m

    def _two_slots(self, m):
        """Two registers that take turns. Their enables depend on registers alone."""
        slots = [Signal.like(self.i.payload, name=f"slot_{n}", reset_less=True) for n in range(2)]
        first, full, put, take = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            put.eq(self.i.valid & self.i.ready),
            take.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(~full),
            self.o.payload.eq(Mux(first, slots[1], slots[0])),
        ]
        m.d.sync += [
            self.o.valid.eq(put | full | (self.o.valid & ~take)),
            full.eq(~take & (full | (self.o.valid & put))),
            first.eq(first ^ take),
        ]
        for index, slot in enumerate(slots):
            with m.If(~full & ((first ^ self.o.valid) == index)):
                m.d.sync += slot.eq(self.i.payload)
