from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.dma.activation_reader import tensor_word
from rtl.layouts import bytes_of, sums_of
from rtl.memory import BlockRam
from rtl.stream.pipeline import pipeline
from rtl.validate import boolean, divisor, integer, power_of_two

__all__ = ["Add", "TABLE", "entry_rows"]

#: Entries of the table: one for each int8, indexed by its bits.
TABLE = 256


def entry_rows(cols):
    """Rows of ``cols`` bytes that hold an entry of 32 bits."""
    return -(-4 // cols)


class Add(wiring.Component):
    """Sums of two tensors on a common scale, for the requantizer.

    Before a layer's words ``TABLE`` entries are taken from the weights, each in the low 32 bits of
    ``entry_rows(cols)`` rows: the contribution of each byte of the second operand, in units of
    ``2^-20`` of the common scale. The first operand, of the larger scale, is half of that scale:
    ``a << 19``. Words of the two alternate. A pair gives ``word_bytes / drain_lanes`` beats, one a
    cycle, the first of them ``latency`` cycles after the pair is complete; or, while ``single``,
    only the beat selected by ``at``. After the last pair of the layer the next table is taken, as
    soon as it comes.

    Parameters
    ----------
    word_bytes, drain_lanes, cols : :class:`int`
        Bytes of a word, a power of two; channels of a beat, a divisor of it; bytes of a row of
        weights.
    double_buffered : :class:`bool`
        Whether the next pair may come while the beats of one leave.
    output_register : :class:`bool`
        Whether to use the output registers of the tables' block RAM.

    Members
    -------
    weights : ``In(stream.Signature(bytes_of(cols)))``
    loaded : ``Out(1)``
        The table is complete.
    single, at : ``In(1)``, ``In(range(word_bytes // drain_lanes))``
        ``single`` holds, ``at`` goes with the second word of a pair.
    i : ``In(stream.Signature(tensor_word(word_bytes)))``
    o : ``Out(stream.Signature(sums_of(drain_lanes)))``
        ``last`` marks the last beat of the layer.
    """

    def __init__(self, *, word_bytes, drain_lanes, cols, double_buffered=True,
                 output_register=False):
        self.word_bytes = word_bytes = power_of_two("word_bytes", word_bytes, 1, 64)
        self.drain_lanes = divisor("drain_lanes", drain_lanes, word_bytes, "bytes of a word")
        self.cols = integer("cols", cols, 1, 32)
        self.double_buffered = boolean("double_buffered", double_buffered)
        self.output_register = boolean("output_register", output_register)
        self.latency = 2 + output_register
        super().__init__({
            "weights": In(stream.Signature(bytes_of(self.cols))),
            "loaded": Out(1),
            "single": In(1),
            "at": In(range(word_bytes // self.drain_lanes)),
            "i": In(stream.Signature(tensor_word(word_bytes))),
            "o": Out(stream.Signature(sums_of(self.drain_lanes))),
        })

    def elaborate(self, platform):
        m = Module()
        entry, write, value = self._elaborate_loading(m)

        # While the beats of a pair leave, the first word of the next one is taken, if there is a
        # register for it.
        beats = self.word_bytes // self.drain_lanes
        word, have_early = self.i.payload.data, Signal()
        first, second, final, paired = Signal.like(word), Signal.like(word), Signal(), Signal()
        early = Signal.like(word) if self.double_buffered else first
        beat, ends = Signal(range(beats)), Signal()
        advance, lookup, done = Signal(), Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            ends.eq(self.single | (beat == beats - 1)),
            lookup.eq(paired & self.loaded & advance),
            done.eq(lookup & ends),
            self.i.ready.eq((~have_early & self.double_buffered) | ~paired | done),
        ]
        with m.If(lookup):
            m.d.sync += beat.eq(Mux(done, 0, beat + 1))
        with m.If(done):
            m.d.sync += paired.eq(0)
            with m.If(final):
                m.d.sync += entry.eq(0)
        # The enables of words' registers do not depend on valid, as they drive many bits.
        with m.If(self.i.ready & ~have_early):
            m.d.sync += early.eq(word)
        with m.If(self.i.ready & have_early):
            m.d.sync += [first.eq(early), second.eq(word), final.eq(self.i.payload.over[-1])]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += have_early.eq(~have_early)
            with m.If(have_early):
                m.d.sync += paired.eq(1)
                with m.If(self.single):
                    m.d.sync += beat.eq(self.at)
        last = ends & final
        m.d.comb += [
            self.o.valid.eq(pipeline(m, advance, lookup, "valid", self.latency, reset_less=False)),
            self.o.payload.last.eq(pipeline(m, advance, last, "last", self.latency)),
        ]
        for lane in range(self.drain_lanes):
            index = (beat * self.drain_lanes + lane)[:len(beat) + 5]
            m.submodules[f"table_{lane}"] = table = BlockRam(
                width=32, depth=TABLE, output_register=self.output_register)
            a = pipeline(m, advance, first[index], f"a_{lane}", table.latency).as_signed()
            total = (a << 19) + table.read_data.as_signed()
            m.d.comb += [
                table.write_en.eq(write),
                table.write_addr.eq(entry[:8]),
                table.write_data.eq(value[:32]),
                table.read_en.eq(advance),
                table.read_addr.eq(second[index]),
                self.o.payload.acc[lane].eq(pipeline(m, advance, total[:32], f"sum_{lane}")),
            ]
        return m

    def _elaborate_loading(self, m):
        """Gather rows of weights into entries. Returns the entry to write next, a strobe to write
        it, and its value."""
        entry, row = Signal(range(TABLE + 1)), Signal(range(entry_rows(self.cols)))
        bits = self.weights.payload.as_value()
        gathered = Signal(len(bits) * entry_rows(self.cols))
        value = Cat(gathered[len(bits):], bits)
        write = Signal()
        taken = self.weights.valid & self.weights.ready
        m.d.comb += [
            self.loaded.eq(entry[-1]),
            self.weights.ready.eq(~self.loaded),
            write.eq(taken & (row == entry_rows(self.cols) - 1)),
        ]
        with m.If(taken):
            m.d.sync += [gathered.eq(value), row.eq(Mux(write, 0, row + 1))]
        with m.If(write):
            m.d.sync += entry.eq(entry + 1)
        return entry, write, value
