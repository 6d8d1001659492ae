from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.registers import ADDRESS_BITS, OFFSET_BITS, Window
from rtl.bus.registers import Command

__all__ = ["CommandArbiter"]


class CommandArbiter(wiring.Component):
    """Merges commands for the accelerator, by priority: the bus, then reads, then writes.

    Commands pass a register. A command of the bus is taken when the accelerator takes it, and none
    follows in that cycle, so that nothing slips in after a ``GO``. While a network runs, reads
    wait, and so do writes but to activations.

    Members
    -------
    bus, answers : ``In(stream.Signature(Command))``, ``Out(stream.Signature(32))``
        Commands of the bus, and answers to its reads.
    reads, words : ``In(stream.Signature(ADDRESS_BITS))``, ``Out(stream.Signature(32))``
        Addresses, and the words read there. One read is under way at a time, whoever requests it.
    writes : ``In(stream)``
        ``address``, ``data``; one a cycle. ``writes.ready`` does not depend on ``writes.valid``.
    commands, o : ``Out(stream)``, ``In(stream.Signature(32))``
        As ``commands`` and ``o`` of :class:`~rtl.accelerator.Accelerator`.
    done : ``In(1)``
        Nothing runs.
    """

    def __init__(self):
        super().__init__({
            "bus": In(stream.Signature(Command)),
            "answers": Out(stream.Signature(32)),
            "reads": In(stream.Signature(ADDRESS_BITS)),
            "words": Out(stream.Signature(32)),
            "writes": In(stream.Signature(
                data.StructLayout({"address": ADDRESS_BITS, "data": 32}))),
            "commands": Out(stream.Signature(Command)),
            "o": In(stream.Signature(32)),
            "done": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        commands, to = self.commands, self.writes.payload.address
        taken, of_bus = Signal(), Signal()
        reading, for_bus = Signal(), Signal()  # an answer is to come
        m.d.comb += [taken.eq(commands.valid & commands.ready), self.bus.ready.eq(taken & of_bus)]
        with m.If(taken):
            m.d.sync += [commands.valid.eq(0), of_bus.eq(0)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += reading.eq(0)
        with m.If(~commands.valid | (taken & ~of_bus)):
            with m.If(self.bus.valid & (self.bus.payload.write | ~reading)):
                m.d.sync += [commands.valid.eq(1), of_bus.eq(1),
                             commands.payload.eq(self.bus.payload)]
                with m.If(~self.bus.payload.write):
                    m.d.sync += [reading.eq(1), for_bus.eq(1)]
            with m.Elif(self.done & self.reads.valid & ~reading):
                m.d.comb += self.reads.ready.eq(1)
                m.d.sync += [commands.valid.eq(1), reading.eq(1), for_bus.eq(0),
                             commands.payload.write.eq(0),
                             commands.payload.address.eq(self.reads.payload)]
            with m.Elif(self.done | (to[OFFSET_BITS:] == Window.ACTIVATIONS)):
                m.d.comb += self.writes.ready.eq(1)
                m.d.sync += [commands.valid.eq(self.writes.valid),
                             commands.payload.write.eq(1),
                             commands.payload.address.eq(to),
                             commands.payload.data.eq(self.writes.payload.data)]
        m.d.comb += [
            self.answers.valid.eq(self.o.valid & reading & for_bus),
            self.words.valid.eq(self.o.valid & reading & ~for_bus),
            self.answers.payload.eq(self.o.payload),
            self.words.payload.eq(self.o.payload),
            self.o.ready.eq(reading & Mux(for_bus, self.answers.ready, self.words.ready)),
        ]
        return m
