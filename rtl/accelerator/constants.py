"""Readers of what the host wrote before: weights and parameters, in the order of their use."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import ChannelParams
from rtl.memory import BlockRam

__all__ = ["ParamReader", "SequenceReader", "sequence_of"]


def sequence_of(address_bits, count_bits):
    """Layout of a sequence of words that is read several times."""
    return data.StructLayout({
        "base": address_bits,
        "count": address_bits,    # words, less one
        "repeats": count_bits,    # times to read them all, less one
        "used": 1,                # whether there are any
    })


class SequenceReader(wiring.Component):
    """A memory whose words leave from ``base`` on, again and again; one a cycle.

    Members
    -------
    write_en, write_addr, write_data : ``In``
        For the host; not while a sequence leaves.
    config : ``In(sequence_of(...))``
        Holds from ``init`` on.
    init : ``In(1)``
        Begin; not while ``busy``.
    busy : ``Out(1)``
        There are words that have not been taken.
    outside : ``Out(1)``
        The next word is outside the memory; it never comes.
    o : ``Out(stream.Signature(width))``
    """

    def __init__(self, *, width, depth, count_bits, output_register=False):
        self.depth = depth
        self.memory = BlockRam(width=width, depth=depth, output_register=output_register)
        address = Shape.cast(range(depth)).width
        super().__init__({
            "write_en": In(1),
            "write_addr": In(range(depth)),
            "write_data": In(width),
            "config": In(sequence_of(address, count_bits)),
            "init": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "o": Out(stream.Signature(width)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = self.memory
        address = Signal(len(self.config.base) + 1)
        left = Signal.like(self.config.count)
        repeats = Signal.like(self.config.repeats)
        running, asking, advance = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            memory.write_en.eq(self.write_en),
            memory.write_addr.eq(self.write_addr),
            memory.write_data.eq(self.write_data),
            memory.read_en.eq(advance),
            memory.read_addr.eq(address),
            self.outside.eq(running & (address >= self.depth)),
            asking.eq(running & ~self.outside),
            self.o.payload.eq(memory.read_data),
        ]
        valid, busy = asking, running | self.o.valid
        for stage in range(memory.latency - 1):
            late = Signal(name=f"valid_{stage}")
            with m.If(advance):
                m.d.sync += late.eq(valid)
            valid, busy = late, busy | late
        m.d.comb += self.busy.eq(busy)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(valid)
            with m.If(asking):
                m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
                with m.If(left == 0):
                    m.d.sync += [address.eq(self.config.base), left.eq(self.config.count),
                                 repeats.eq(repeats - 1), running.eq(repeats != 0)]
        with m.If(self.init):
            m.d.sync += [running.eq(self.config.used), address.eq(self.config.base),
                         left.eq(self.config.count), repeats.eq(self.config.repeats)]
        return m


class ParamReader(wiring.Component):
    """Gathers the parameters of ``lanes`` channels, read one a cycle, into a beat.

    Members
    -------
    i : ``In(stream.Signature(ChannelParams))``
    o : ``Out(stream.Signature(ArrayLayout(ChannelParams, lanes)))``
    """

    def __init__(self, *, lanes):
        self.lanes = lanes
        super().__init__({
            "i": In(stream.Signature(ChannelParams)),
            "o": Out(stream.Signature(data.ArrayLayout(ChannelParams, lanes))),
        })

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(self.lanes))
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            beat = Cat(self.o.payload.as_value(), self.i.payload.as_value())
            m.d.sync += [self.o.payload.eq(beat[-len(self.o.payload.as_value()):]),
                         count.eq(Mux(count == self.lanes - 1, 0, count + 1)),
                         self.o.valid.eq(count == self.lanes - 1)]
        return m
