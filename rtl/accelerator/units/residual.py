from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from rtl.accelerator.dma.activation_reader import tensor_word
from rtl.layouts import bytes_of
from rtl.validate import divisor, integer, power_of_two

__all__ = ["Residual"]


class Residual(wiring.Component):
    """Pairs results with the words that they are added to, for :class:`Add`.

    Results come out of the requantizer, which their sums have to enter again. As its stages stall
    together, it must never wait for one of them: a result is claimed when its sum enters there, and
    up to ``depth`` results may be claimed that have not left in a pair. A pair takes two cycles.

    Parameters
    ----------
    word_bytes, drain_lanes : :class:`int`
        Bytes of a word, a power of two; channels of a result, a divisor of it.
    depth : :class:`int`
        Results of the FIFO.

    Members
    -------
    turned : ``In(1)``
        Results are the second word of a pair, not the first; holds.
    free, claim : ``Out(1)``, ``In(1)``
        A result may be claimed; it is.
    i : ``In(stream.Signature(bytes_of(drain_lanes), always_ready=True))``
        Results, as many as were claimed.
    words : ``In(stream)``
        As of :class:`ActivationWriter`: a word for each result.
    o : ``Out(stream.Signature(tensor_word(word_bytes)))``
        The two words of each pair; a result is repeated to fill its word.
    at : ``Out(range(word_bytes // drain_lanes))``
        Which part of the words of a pair counts.
    """

    def __init__(self, *, word_bytes, drain_lanes, depth):
        self.word_bytes = word_bytes = power_of_two("word_bytes", word_bytes, 1, 64)
        self.drain_lanes = divisor("drain_lanes", drain_lanes, word_bytes, "bytes of a word")
        self.depth = integer("depth", depth, 1, 1024)
        self.beats = word_bytes // self.drain_lanes
        super().__init__({
            "turned": In(1),
            "free": Out(1),
            "claim": In(1),
            "i": In(stream.Signature(bytes_of(self.drain_lanes), always_ready=True)),
            "words": In(stream.Signature(data.StructLayout({
                "data": bytes_of(word_bytes), "at": exact_log2(self.beats), "last": 1}))),
            "o": Out(stream.Signature(tensor_word(word_bytes))),
            "at": Out(range(self.beats)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.results = results = SyncFIFO(width=8 * self.drain_lanes, depth=self.depth)
        claimed, second, leaves = Signal(range(self.depth + 1)), Signal(), Signal()
        m.d.sync += claimed.eq(claimed + self.claim - leaves)
        m.d.comb += [
            self.free.eq(claimed != self.depth),
            results.w_en.eq(self.i.valid),
            results.w_data.eq(self.i.payload),
            self.o.valid.eq(results.r_rdy & self.words.valid),
            leaves.eq(self.o.valid & self.o.ready & second),
            results.r_en.eq(leaves),
            self.words.ready.eq(leaves),
            self.o.payload.data.eq(Mux(second == self.turned, results.r_data.replicate(self.beats),
                                       self.words.payload.data)),
            self.o.payload.over[-1].eq(self.words.payload.last),
            self.at.eq(self.words.payload.at),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += second.eq(~second)
        return m
