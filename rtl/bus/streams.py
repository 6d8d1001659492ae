from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.registers import ADDRESS_BITS
from rtl.bus.registers import COUNT_BITS

__all__ = ["IN", "OUT", "Inlet", "Outlet", "Transfer"]

#: Words that enter, and words that leave.
IN = In(stream.Signature(data.StructLayout({"data": 32})))
OUT = Out(stream.Signature(data.StructLayout({"data": 32, "last": 1})))

#: How a transfer is set up: ``load_address`` and ``load_count`` take ``value`` in that cycle.
Transfer = wiring.Signature({
    "load_address": Out(1),
    "load_count": Out(1),
    "value": Out(ADDRESS_BITS),
    "address": In(ADDRESS_BITS),
    "left": In(COUNT_BITS),
})


class Inlet(wiring.Component):
    """Words from a stream to ascending addresses, as many as were requested.

    ``writes`` depends combinationally on ``i``, and ``i.ready`` on ``writes.ready``. A count of 0
    withdraws the write that is offered.

    Members
    -------
    transfer : ``In(Transfer)``
        ``left`` words are to come, the next one for ``address``.
    i : as of :data:`IN`
    writes : as of :class:`~rtl.bus.arbiter.CommandArbiter`
    """

    def __init__(self):
        super().__init__({
            "transfer": In(Transfer),
            "i": IN,
            "writes": Out(stream.Signature(
                data.StructLayout({"address": ADDRESS_BITS, "data": 32}))),
        })

    def elaborate(self, platform):
        m = Module()
        transfer, some, taken = self.transfer, Signal(), Signal()
        m.d.comb += [
            some.eq(transfer.left != 0),
            self.writes.valid.eq(self.i.valid & some),
            self.writes.payload.address.eq(transfer.address),
            self.writes.payload.data.eq(self.i.payload.data),
            self.i.ready.eq(self.writes.ready & some),
            taken.eq(self.i.valid & self.i.ready),
        ]
        m.d.sync += [
            transfer.address.eq(Mux(transfer.load_address, transfer.value,
                                    transfer.address + taken)),
            transfer.left.eq(Mux(transfer.load_count, transfer.value, transfer.left - taken)),
        ]
        return m


class Outlet(wiring.Component):
    """Words from ascending addresses to a stream, as many as were requested; ``last`` marks the
    last.

    A word is requested when the one before has left. A count of 0 makes one more word the last, so
    that a frame that has begun gets its end.

    Members
    -------
    transfer : ``In(Transfer)``
        ``left`` words are to be read, the next one at ``address``.
    reads, words : as of :class:`~rtl.bus.arbiter.CommandArbiter`
    o : as of :data:`OUT`
    """

    def __init__(self):
        super().__init__({
            "transfer": In(Transfer),
            "reads": Out(stream.Signature(ADDRESS_BITS)),
            "words": In(stream.Signature(32)),
            "o": OUT,
        })

    def elaborate(self, platform):
        m = Module()
        transfer, asked = self.transfer, Signal()
        came, left = Signal(), Signal(COUNT_BITS)
        m.d.comb += [
            self.reads.valid.eq((transfer.left != 0) & ~asked & ~self.o.valid),
            self.reads.payload.eq(transfer.address),
            self.words.ready.eq(1),
            came.eq(self.words.valid),
            left.eq(transfer.left - came),
        ]
        with m.If(self.reads.valid & self.reads.ready):
            m.d.sync += asked.eq(1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(came):
            m.d.sync += [asked.eq(0), self.o.valid.eq(1),
                         self.o.payload.data.eq(self.words.payload),
                         self.o.payload.last.eq(transfer.left == 1)]
        stop = (transfer.value == 0) & (left != 0)
        m.d.sync += [
            transfer.address.eq(Mux(transfer.load_address, transfer.value,
                                    transfer.address + came)),
            transfer.left.eq(Mux(transfer.load_count, transfer.value | stop, left)),
        ]
        return m
