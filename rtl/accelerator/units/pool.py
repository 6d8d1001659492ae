from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.dma.activation_reader import tensor_word
from rtl.layouts import sums_of
from rtl.validate import divisor, power_of_two

__all__ = ["Pool"]

#: Bits of the sum of the int8 of a window of up to 1024 cells.
SUM_WIDTH = 18


class Pool(wiring.Component):
    """Sums or maxima of windows, for the requantizer to scale.

    Words of ``word_bytes`` channels come window by window: loops 0 and 1 of the reader run over the
    cells of a window. Each window gives ``word_bytes / drain_lanes`` beats. Throughput is one word
    a cycle, as long as a window has at least as many cells as it gives beats.

    Parameters
    ----------
    word_bytes, drain_lanes : :class:`int`
        Bytes of a word, a power of two; channels of a beat, a divisor of it.

    Members
    -------
    maximum : ``In(1)``
        Maxima rather than sums; holds while anything is under way.
    i : ``In(stream.Signature(tensor_word(word_bytes)))``
    o : ``Out(stream.Signature(sums_of(drain_lanes)))``
        ``last`` marks the last beat of the layer.
    """

    def __init__(self, *, word_bytes, drain_lanes):
        self.word_bytes = power_of_two("word_bytes", word_bytes, 1, 64)
        self.drain_lanes = divisor("drain_lanes", drain_lanes, self.word_bytes, "bytes of a word")
        super().__init__({
            "maximum": In(1),
            "i": In(stream.Signature(tensor_word(self.word_bytes))),
            "o": Out(stream.Signature(sums_of(self.drain_lanes))),
        })

    def elaborate(self, platform):
        m = Module()
        beats = self.word_bytes // self.drain_lanes
        values = data.ArrayLayout(signed(SUM_WIDTH), self.word_bytes)
        total, out = Signal(values), Signal(values)
        fresh = Signal(init=1)                       # the next word begins a window
        full, final, beat = Signal(), Signal(), Signal(range(beats))

        # A word waits a cycle, so that a comparison has a cycle to itself.
        word, here = Signal.like(self.i.payload, reset_less=True), Signal()
        window_ends, leaves, taken = Signal(), Signal(), Signal()
        m.d.comb += [
            window_ends.eq(word.over[1]),
            leaves.eq(self.o.valid & self.o.ready & (beat == beats - 1)),
            taken.eq(here & (~window_ends | ~full | leaves)),
            self.i.ready.eq(~here | taken),
            self.o.valid.eq(full),
            self.o.payload.last.eq(final & (beat == beats - 1)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += beat.eq(Mux(leaves, 0, beat + 1))
        with m.If(leaves):
            m.d.sync += full.eq(0)
        with m.If(self.i.ready):
            m.d.sync += [word.eq(self.i.payload), here.eq(self.i.valid)]
        with m.If(taken):
            m.d.sync += fresh.eq(window_ends)
        with m.If(taken & window_ends):
            m.d.sync += [full.eq(1), final.eq(word.over[-1])]
        for channel in range(self.word_bytes):
            x, now = word.data[channel], Signal(signed(SUM_WIDTH))
            so_far = total[channel]
            # A maximum so far is a byte. The sign of a difference is a bit of the carry chain's
            # sum, unlike the result of a comparison, which is its carry out.
            less = (so_far[:len(x)].as_signed() - x)[len(x)]
            m.d.comb += now.eq(Mux(fresh | (self.maximum & less), x, Mux(
                self.maximum, so_far, x + so_far)))
            # Neither enable depends on this cycle's decision: at a window's end the sum so far is
            # not needed any more, and `out` may take anything while it is not full.
            with m.If(here & ~window_ends):
                m.d.sync += so_far.eq(now)
            with m.If(~full | leaves):
                m.d.sync += out[channel].eq(now)
        for lane in range(self.drain_lanes):
            m.d.comb += self.o.payload.acc[lane].eq(
                out[(beat * self.drain_lanes + lane)[:len(beat) + 5]])
        return m
