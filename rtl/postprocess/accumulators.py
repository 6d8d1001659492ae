from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import sums_of
from rtl.memory import BlockRam
from rtl.params import MAX_PIXEL_LANES
from rtl.stream.delay import Delay
from rtl.validate import boolean, divisor, integer, shape

__all__ = ["AccumulatorTag", "Accumulators"]


class AccumulatorTag(data.Struct):
    """What is done with the sums of one vector."""

    keep: 1   #: They count; otherwise they are discarded.
    start: 1  #: They replace what was accumulated, rather than being added to it.
    last: 1   #: Last vector of a tile: the next one is pixel 0 again.
    done: 1   #: With ``last``: the sums of the whole pass are complete.


class Accumulators(wiring.Component):
    """Accumulates the tiles of a pass for up to ``depth`` pixels, while the pass before drains.

    Block RAM in two halves (double buffering): one takes a read-modify-write a cycle for each
    column, the other is drained channel group by channel group, pixel by pixel, ``drain_lanes``
    channels at a time. With several pixel lanes, each of which has columns of its own, their pixels
    drain in turns. A tag comes ``lead`` cycles before its sums. A pixel must not come twice in
    ``min_tile`` cycles.

    A half is taken by ``claim`` when a pass enters the array, and freed when its last beat has left
    on ``o``; ``free`` tells whether a claim is possible. The first beat of a drain comes
    ``latency`` cycles after the tag that completed the pass, then one each cycle.

    Parameters
    ----------
    cols : :class:`int`
        Columns. Each half has a memory 32 bits wide for each, or one for all of narrower sums.
    depth : :class:`int`
        Maximum number of pixels of a pass.
    sums : shape-like
        Layout of the incoming sums.
    drain_lanes : :class:`int`
        Channels that drain at once; a divisor of ``cols``.
    pixel_lanes : :class:`int`
        Pixels whose sums arrive at once, in ``pixel_lanes * cols`` columns.
    output_register : :class:`bool`
        Whether to use the memories' output registers: a cycle more, for a much higher Fmax on ECP5.
    width : :class:`int`
        Bits of a sum; larger ones wrap.

    Members
    -------
    tags, i : ``In(stream)``, always ready
        Tags, and the sums ``lead`` cycles later.
    claim, free, idle : ``In(1)``, ``Out(1)``, ``Out(1)``
        A pass begins; whether one may begin; no half is taken.
    o : ``Out(stream.Signature(sums_of(drain_lanes)))``
        ``last`` marks the last pixel of a channel group.
    """

    def __init__(self, *, cols, depth, sums, drain_lanes=1, pixel_lanes=1, output_register=False,
                 width=32):
        self.cols = integer("cols", cols, 1, 32)
        self.depth = integer("depth", depth, 2, 4096)
        shape("sums", sums)
        self.drain_lanes = divisor("drain_lanes", drain_lanes, self.cols, "columns")
        self.pixel_lanes = integer("pixel_lanes", pixel_lanes, 1, MAX_PIXEL_LANES)
        self.output_register = boolean("output_register", output_register)
        columns = self.pixel_lanes * self.cols
        if (not isinstance(sums, data.ArrayLayout) or sums.length != columns
                or not Shape.cast(sums.elem_shape).signed):
            raise ValueError(f"sums must be an array of {columns} signed numbers, one for each "
                             f"column of each pixel lane, not {sums!r}")
        self.width = integer("width", width, 16, 32)
        self.lead = self.lead_of(output_register)
        self.min_tile = self.min_tile_of(output_register)
        self.latency = self.latency_of(output_register)
        super().__init__({
            "tags": In(stream.Signature(AccumulatorTag, always_ready=True)),
            "i": In(stream.Signature(sums, always_ready=True)),
            "claim": In(1),
            "free": Out(1),
            "idle": Out(1),
            "o": Out(stream.Signature(sums_of(self.drain_lanes))),
        })

    @staticmethod
    def lead_of(output_register):
        """``lead`` with or without output registers."""
        return 2 if output_register else 1

    @classmethod
    def min_tile_of(cls, output_register):
        """``min_tile`` with or without output registers."""
        return cls.lead_of(output_register) + 2

    @classmethod
    def latency_of(cls, output_register):
        """``latency`` with or without output registers."""
        return 2 * cls.lead_of(output_register) + 4

    def elaborate(self, platform):
        m = Module()
        columns = self.pixel_lanes * self.cols
        shared = columns if self.width < 32 else 1  # narrow sums would leave part of a block unused
        halves = []
        for half in range(2):
            memories = []
            for column in range(0, columns, shared):
                memory = BlockRam(width=shared * self.width, depth=self.depth,
                                  output_register=self.output_register)
                m.submodules[f"half_{half}_{column}"] = memory
                memories.append(memory)
            halves.append(memories)

        self._elaborate_drain(m, halves, *self._elaborate_fill(m, halves))
        return m

    def _word(self, memories, column):
        """The word that was read for a column."""
        shared = self.pixel_lanes * self.cols // len(memories)
        memory, place = divmod(column, shared)
        return memories[memory].read_data.word_select(place, self.width).as_signed()

    def _elaborate_fill(self, m, halves):
        """Read, add, write back. Returns the pixel that is read, a strobe for the end of a pass,
        and how many pixels that has."""
        pixel = Signal(range(self.depth))        # read side, moves with the tags
        tag = self.tags.payload
        with m.If(self.tags.valid):
            with m.If(tag.keep):
                m.d.sync += pixel.eq(pixel + 1)
            with m.If(tag.last):
                m.d.sync += pixel.eq(0)

        m.submodules.arriving = arriving = Delay(AccumulatorTag, self.lead, reset_less=False)
        with m.If(self.tags.valid):
            m.d.comb += arriving.i.eq(tag)
        now = arriving.o

        adding = Signal()                        # half whose word meets its sum in this cycle
        with m.If(now.last & now.done):
            m.d.sync += adding.eq(~adding)

        writing = Signal()
        written = Signal(range(self.depth))      # write side of `pixel`, one cycle after the sum
        write_half = Signal(reset_less=True)
        write_last = Signal()
        complete = Signal()
        m.d.sync += [
            writing.eq(now.keep),
            write_half.eq(adding),
            write_last.eq(now.last),
            complete.eq(now.last & now.done),
        ]
        with m.If(writing):
            m.d.sync += written.eq(written + 1)
        with m.If(write_last):
            m.d.sync += written.eq(0)

        sums = []
        for column in range(self.pixel_lanes * self.cols):
            word = Signal(signed(self.width), name=f"word_{column}")
            sum_ = Signal(signed(self.width), name=f"sum_{column}", reset_less=True)
            low, high = (self._word(half, column) for half in halves)
            m.d.comb += word.eq(Mux(now.start, 0, Mux(adding, high, low)))
            m.d.sync += sum_.eq(word + self.i.payload[column])
            sums.append(sum_)
        for half, memories in enumerate(halves):
            shared = len(sums) // len(memories)
            for index, memory in enumerate(memories):
                m.d.comb += [
                    memory.write_en.eq(writing & (write_half == half)),
                    memory.write_addr.eq(written),
                    memory.write_data.eq(Cat(sums[index * shared:(index + 1) * shared])),
                ]
        # The last vector may be one that is not kept: the pixels are those that were written.
        count = Signal(range(self.depth + 1))
        m.d.comb += count.eq(written + writing)
        return pixel, complete, count

    def _elaborate_drain(self, m, halves, fill_pixel, complete, count):
        """Drain a half once its pass is complete."""
        claimed = Signal(range(3))
        released = Signal()
        m.d.comb += [self.free.eq(~claimed[1]), self.idle.eq(claimed == 0)]
        m.d.sync += claimed.eq(claimed + self.claim - released)

        # One complete half may wait while the other is drained.
        last_pixel = Signal(range(self.depth))
        waiting_last = Signal(range(self.depth))
        waiting = Signal()
        busy = Signal()
        drain = Signal()                         # half being drained
        start = Signal()
        m.d.comb += start.eq(waiting & ~busy)
        with m.If(start):
            m.d.sync += [waiting.eq(0), busy.eq(1), last_pixel.eq(waiting_last)]
        with m.If(complete):
            m.d.sync += [waiting.eq(1), waiting_last.eq(count - 1)]

        advance = Signal()
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        pixel, beat = self._elaborate_issue(m, start, last_pixel, advance)
        final_out = self._elaborate_beats(m, halves, drain, advance, beat)
        m.d.comb += released.eq(self.o.valid & self.o.ready & final_out)
        with m.If(released):
            m.d.sync += [busy.eq(0), drain.eq(~drain)]

        for half, memories in enumerate(halves):
            drained = Signal(name=f"drained_{half}")
            m.d.comb += drained.eq(busy & (drain == half))
            for memory in memories:
                m.d.comb += [
                    memory.read_en.eq(~drained | advance),
                    memory.read_addr.eq(Mux(drained, pixel, fill_pixel)),
                ]

    def _elaborate_issue(self, m, start, last_pixel, advance):
        """Loop over channel groups, pixels and pixel lanes from ``start`` on. Returns the pixel to
        read, and a beat's fields."""
        groups = self.cols // self.drain_lanes
        pixel = Signal(range(self.depth))
        group, turn = Signal(range(groups)), Signal(range(self.pixel_lanes))
        issuing = Signal()
        with m.If(start):
            m.d.sync += issuing.eq(1)
        turned, last, final = Signal(), Signal(), Signal()
        m.d.comb += [turned.eq(turn == self.pixel_lanes - 1),
                     last.eq(turned & (pixel == last_pixel)),
                     final.eq(last & (group == groups - 1))]
        with m.If(issuing & advance):
            m.d.sync += turn.eq(Mux(turned, 0, turn + 1))
            with m.If(turned):
                m.d.sync += pixel.eq(pixel + 1)
            with m.If(last):
                m.d.sync += [pixel.eq(0), group.eq(group + 1)]
            with m.If(final):
                m.d.sync += [group.eq(0), issuing.eq(0)]
        return pixel, {"valid": issuing, "last": last, "final": final, "group": group, "turn": turn}

    def _elaborate_beats(self, m, halves, drain, advance, beat):
        """Beats travel with the memory's latency, and leave with the words that were read; all
        stages stall together. Returns whether the beat on ``o`` is the last of its pass."""
        fields = data.StructLayout({name: value.shape() for name, value in beat.items()})
        stages = [Signal(fields, name=f"beat_{n}") for n in range(self.lead + 1)]
        m.d.comb += [stages[0][name].eq(value) for name, value in beat.items()]
        final_out = Signal()
        sums = [Signal(signed(self.width), name=f"acc_{lane}", reset_less=True)
                for lane in range(self.drain_lanes)]
        m.d.comb += [acc.eq(sum_) for acc, sum_ in zip(self.o.payload.acc, sums, strict=True)]
        with m.If(advance):
            for before, after in zip(stages, stages[1:], strict=False):
                m.d.sync += after.eq(before)
            m.d.sync += [
                self.o.valid.eq(stages[-1].valid),
                self.o.payload.last.eq(stages[-1].last),
                final_out.eq(stages[-1].final),
            ]
            for lane in range(self.drain_lanes):
                words = Array(
                    Array(Mux(drain, *(self._word(half, first + column) for half in halves[::-1]))
                          for column in range(lane, self.cols, self.drain_lanes))
                    for first in range(0, self.pixel_lanes * self.cols, self.cols))
                m.d.sync += sums[lane].eq(words[stages[-1].turn][stages[-1].group])
        return final_out
