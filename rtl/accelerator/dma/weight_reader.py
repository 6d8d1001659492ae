"""Readers of weights and parameters, in the order in which they are used."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from rtl.layouts import ChannelParams
from rtl.memory import Reader
from rtl.validate import boolean, integer

__all__ = ["ParamReader", "SequenceReader", "sequence_config"]


def sequence_config(address_bits, count_bits):
    """Layout of a sequence of words that is read several times."""
    return data.StructLayout({
        "base": address_bits,
        "count": address_bits,    # words, less one
        "repeats": count_bits,    # times to read them all, less one
        "used": 1,                # whether there are any
    })


class SequenceReader(wiring.Component):
    """Reads a sequence of words, once or repeatedly: one a cycle, if there are enough ``slots``.

    Parameters
    ----------
    depth : :class:`int`
        Words of the memory.
    width, slots, direct
        As of :class:`Reader`.
    count_bits : :class:`int`
        Bits of the number of repetitions.

    Members
    -------
    config : ``In(sequence_config(...))``
        Holds from ``init`` on.
    init : ``In(1)``
        Begin; not while ``busy``.
    busy : ``Out(1)``
        There are words that have not been taken.
    outside : ``Out(1)``
        The next word is outside the memory, and so never comes.
    port : ``Out(memory_port(...))``
    o : ``Out(stream.Signature(width))``
    more : ``In(1)``
        As of :class:`Reader`, with no slots.
    """

    def __init__(self, *, width, depth, slots, direct=False, count_bits):
        self.depth = integer("depth", depth, 2, 1 << 20)
        address = ceil_log2(self.depth)
        width = integer("width", width, 1, 4096)
        count_bits = integer("count_bits", count_bits, 1, 32)
        self.reader = Reader(address_bits=address, width=width, slots=slots, direct=direct)
        super().__init__({
            "config": In(sequence_config(address, count_bits)),
            "init": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "port": Out(self.reader.port.signature),
            "o": Out(stream.Signature(width)),
            "more": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = self.reader
        connect(m, reader.port, flipped(self.port))
        address = Signal(len(self.config.base) + 1)
        left = Signal.like(self.config.count)
        repeats = Signal.like(self.config.repeats)
        running = Signal()
        m.d.comb += [
            self.outside.eq(running & (address >= self.depth)),
            self.busy.eq(running | reader.busy),
            reader.i.valid.eq(running & ~self.outside),
            reader.i.payload.address.eq(address),
            self.o.valid.eq(reader.o.valid),
            self.o.payload.eq(reader.o.payload.data),
            reader.o.ready.eq(self.o.ready),
        ]
        if not reader.slots:
            m.d.comb += reader.more.eq(self.more)
        with m.If(reader.i.valid & reader.i.ready):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
            with m.If(left == 0):
                m.d.sync += [address.eq(self.config.base), left.eq(self.config.count),
                             repeats.eq(repeats - 1), running.eq(repeats != 0)]
        with m.If(self.init):
            m.d.sync += [running.eq(self.config.used), address.eq(self.config.base),
                         left.eq(self.config.count), repeats.eq(self.config.repeats)]
        return m


class ParamReader(wiring.Component):
    """Gathers the parameters of ``drain_lanes`` channels into a beat.

    Parameters
    ----------
    drain_lanes : :class:`int`
    width : :class:`int`
        Bits of a word that is read; a channel's parameters take as many words as they need.
    direct : :class:`bool`
        Whether a word can be taken in the cycle in which a beat is, by a combinational path, rather
        than after it.

    Members
    -------
    i : ``In(stream.Signature(width))``
    more : ``Out(1)``
        A word may follow the one that is taken in this cycle.
    o : ``Out(stream.Signature(ArrayLayout(ChannelParams, drain_lanes)))``
    """

    def __init__(self, *, drain_lanes, width, direct=True):
        self.drain_lanes = integer("drain_lanes", drain_lanes, 1, 32)
        self.width = integer("width", width, 1, 4096)
        self.direct = boolean("direct", direct)
        super().__init__({
            "i": In(stream.Signature(self.width)),
            "more": Out(1),
            "o": Out(stream.Signature(data.ArrayLayout(ChannelParams, self.drain_lanes))),
        })

    def elaborate(self, platform):
        m = Module()
        size = Shape.cast(ChannelParams).width
        words = -(-size // self.width)
        lane, word = Signal(range(self.drain_lanes)), Signal(range(words))
        last = (lane == self.drain_lanes - 1) & (word == words - 1)
        m.d.comb += [self.i.ready.eq(~self.o.valid | (self.o.ready & self.direct)),
                     self.more.eq(~last)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [word.eq(word + 1), self.o.valid.eq(last)]
            with m.If(word == words - 1):
                m.d.sync += [word.eq(0), lane.eq(Mux(last, 0, lane + 1))]
            for index in range(self.drain_lanes):
                for part in range(words):
                    with m.If((lane == index) & (word == part)):
                        begin = part * self.width
                        m.d.sync += self.o.payload[index].as_value()[
                            begin:begin + self.width].eq(self.i.payload)
        return m
