# amaranth: UnusedElaboratable=no
"""Cycles of a convolution, from the configuration of its core alone."""

from dataclasses import dataclass

from rtl.conv2d import Conv2d
from rtl.im2col import Im2col

__all__ = ["ConvModel", "LayerCycles"]

#: From that start to the first vector, besides the latency of the im2col unit, if no line has to
#: be waited for: the first tile, and the first line of it.
FIRST_TILE = 5
#: From the last vector of a band to room for a word in place of the lines that it frees, besides
#: the latency of the line buffer, which is read ahead.
FREE = 3


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """``cycles`` of a layer from the end of the one before to its own, and what they are.

    ``start``: the descriptor, and the wait for the first vector or word. ``array``: vectors, one a
    cycle. ``weights``: tiles too short for the weights of the next one. ``input``: words that
    are waited for. ``drain``: waits for accumulators, and the drain of the last pass.

    ``ahead``: of all these, those in which its weights have left their memory, so that the next
    layer's may come.
    """

    cycles: int
    start: int = 0
    array: int = 0
    weights: int = 0
    input: int = 0
    drain: int = 0
    ahead: int = 0

    @property
    def bound(self):
        """What takes the most of it."""
        parts = ("array", "weights", "input", "drain", "start")
        return max(parts, key=lambda name: getattr(self, name))


class ConvModel:
    """The time of a layer on a :class:`Conv2d` whose words, weights and parameters come one a
    cycle, without simulation.

    A convolution is a sequence of passes. With `vectors` in a tile, those of the lines of a band
    (for a FIR with the vectors that end each line), a pass of `tiles` asks

        compute = tiles * max(vectors, min_tile)

    cycles of the array, ``min_tile`` being the least time in which the next tile's weights come,
    and

        drain = cols / drain_lanes * (pixels * beat + change) + gap

    of what follows it, `beat` being the cycles that a beat takes and `change` two for the next
    parameters of a serial requantiser. Parameters come one a cycle. As there are two halves of
    accumulators, pass `p` begins when pass `p - 1` is computed and pass `p - 2` has drained; the
    drain of `p` begins when it is computed and `p - 1` has drained. So in the long run a pass takes
    the larger of the two, and the last drain shows.

    Pixel lanes share all of that but the drain, in which `pixels` are those of all lanes.

    In the first pass of a band each line of vectors also waits for the line of input that it
    needs, in each pixel lane: input comes a word a cycle, and a cycle more for each line, as long
    as the line buffer has room, and a line's room is free again when the last band that needs it
    was read.
    """

    def __init__(self, core):
        if not isinstance(core, Conv2d):
            raise TypeError(f"core must be a Conv2d, not {core!r}")
        self.core, self.gemm, self.im2col = core, core.gemm, Im2col(core.im2col_params)
        # From the start to the first row of weights.
        self.weights = 3 + core.gemm.accumulators.output_register
        # From the beat that a requantiser takes to the layer's end.
        self.finish = core.gemm.requantizer.latency + 1 if core.requantize else 1

    def run(self, conv, beat=0, start=0, again=0, short_acc=0, ahead=0):
        """The :class:`LayerCycles` of a layer with the fields ``conv`` of the configuration of the
        im2col unit, which begins after ``start`` cycles, and whose weights may come ``ahead``
        cycles before that.

        ``beat`` are the cycles of a beat, if more than those of the requantizer. If results are
        added to what lies where they go, ``again`` are those from the end of the first
        requantisation of the last beat to that of the second. If all sums are ``short_acc``, the
        first takes a cycle less.
        """
        core, gemm = self.core, self.gemm
        rate, drain_lanes, pixel_lanes = max(
    core.requantize, 1) - short_acc, core.drain_lanes, core.pixel_lanes
        beat = max(beat, rate)
        lines = _Lines(conv, core.im2col_params.words, self.im2col, core.word_cost, core.first_word)
        width = conv["x_count"] + 1
        out_width = width - conv.get("trail", 0)
        chunks = (conv["kw_count"] + 1) * (conv["chunks"] + 1)
        kernel = [kh * conv["kh_step"] for kh in range(conv["kh_count"] + 1)]
        tiles, passes = chunks * len(kernel), (conv["tiles"] + 1) * (conv["groups"] + 1)
        lane_steps = [lane * conv.get("lane_step", 0) for lane in range(pixel_lanes)]
        groups = core.array.cols // drain_lanes
        change = drain_lanes * core.param_costs[short_acc] + (rate + 1 if rate > 1 else 0)
        if again and rate > 1:
            change = max(change, beat + 2)
        hidden = core.params_ahead and rate == 1
        tail = gemm.systolic.latency - gemm.systolic.lead + gemm.accumulators.latency
        # Sums that are still to come fill most of the gap.
        gap = beat + (rate == 1) if again else max(
            gemm.accumulators.lead + 3, 0 if hidden else change)

        rows = _Rows(core, self.weights, ahead)
        begin = core.start_cost + max(self.weights + core.array.rows + 1, round(rows.come),
                                      FIRST_TILE + self.im2col.latency)
        now, swap = begin, -gemm.min_tile           # the next vector; the last tile's first one
        before = self.weights + core.array.rows + 1 - gemm.min_tile  # that of the tile before it
        released = [-gap, -gap]                     # last beats of the last two drains
        spent = dict.fromkeys(("array", "weights", "input", "drain"), 0)
        for first in range(0, conv["y_count"] + 1, conv["band"] + 1):
            count = min(conv["band"] + 1, conv["y_count"] + 1 - first)
            vectors, pixels = count * width, count * out_width * pixel_lanes
            tops = [conv["y_origin"] + (first + n) * conv["y_step"] for n in range(count)]
            if hidden:  # parameters of two groups are there when a drain begins
                group = max(pixels * beat, change)
                early = min(groups - 1, 2) * (group - pixels * beat)
            else:
                group, early = (pixels - 1) * beat + max(beat, change), 0
            for number in range(passes):
                free = max(now, released[-2] + 1)
                spent["drain"] += free - now
                now = free
                # Parameters of a pass come between its weights, if these leave no room for them.
                wait = max(core.param_wait - tiles * max(vectors - gemm.min_tile, 0), 0)
                spent["weights"] += wait
                now, swap = now + wait, swap + wait
                if number == 0:
                    for offset in kernel:
                        there = lines.come(min(tops[-1] + offset + lane_steps[-1], lines.lines - 1))
                        for _ in range(chunks):
                            free = max(now, swap + gemm.min_tile, round(rows.come))
                            spent["weights"] += free - now
                            rows.take(free)
                            before, now = max(swap, before), free
                            swap = now
                            if there <= now:  # no line has to be waited for
                                now += vectors
                                continue
                            for top in tops:
                                come = max(now, *(lines.come(top + offset + step)
                                                  for step in lane_steps))
                                if top == tops[0]:
                                    swap = come
                                spent["input"] += come - now
                                now = come + width
                else:
                    each = max(vectors, gemm.min_tile)
                    free = max(now, swap + gemm.min_tile, round(rows.come))
                    last = max(free + (tiles - 1) * each, round(rows.after(tiles - 1)))
                    before = swap if tiles == 1 else last - each
                    swap = last
                    rows.take(swap, tiles)
                    spent["weights"] += swap - now - (tiles - 1) * vectors
                    now = swap + vectors
                spent["array"] += tiles * vectors
                drain = max(now - 1 + tail, released[-1] + gap)
                if again and lines.shared is None:
                    # From now on what results are added to is read between the words of input.
                    words = max(count * conv["y_step"], 1) * conv["line_words"]
                    lines.shared = drain
                    lines.share *= min(1 + pixels * groups * passes / words, beat / (beat - 1))
                released = [released[-1], drain + (groups - 1) * group - early
                            + (pixels - 1) * beat]
            lines.free(conv["y_origin"] + (first + count) * conv["y_step"], now - 1)
        end = max(released[-1] + self.finish - short_acc + (again or beat - rate),
                  lines.all_come + self.im2col.latency)
        spent["drain"] += end - now
        # A tile's weights come while the one before it is at work.
        loaded = before + gemm.min_tile
        return LayerCycles(cycles=start + end, start=start + begin, ahead=end - loaded, **spent)


class _Rows:
    """When the weights of the next tile have come from a memory slower than the array, before
    which ``core.rows_ahead`` rows can wait."""

    def __init__(self, core, first, ahead):
        self.cost = core.array.rows * core.row_cost     # cycles of a tile
        self.ahead = core.rows_ahead * core.row_cost    # and of all rows that can wait
        self.come = first + 1 + self.cost - min(ahead - core.row_latency, self.ahead)

    def after(self, tiles):
        """When the weights of so many tiles more have come."""
        return self.come + tiles * self.cost

    def take(self, cycle, tiles=1):
        """The last of so many tiles goes to work in ``cycle``, and the next one's weights come."""
        self.come = max(self.after(tiles), cycle + self.cost - self.ahead)


class _Lines:
    """When each line of the input has come, and its vectors can leave."""

    def __init__(self, conv, words, im2col, word_cost, first_word):
        self.lines, self.line_words, self.words = conv["lines"], conv["line_words"], words
        self.latency = im2col.latency
        self.ahead = FREE - 1 - im2col.params.output_register
        self._came = []     # when the last word of each line did
        self._freed = []    # when the room of each line was free again
        self._next = first_word
        self.cost = self.share = word_cost  # cycles that a word takes, and from when on:
        self.shared = None

    def come(self, line):
        """The cycle from which vectors of a line can enter the array; 0 for padding."""
        if not 0 <= line < self.lines:
            return 0
        self._take(line)
        return self._came[line] + self.latency

    def free(self, keep_from, cycle):
        """A band whose last vector left in ``cycle`` was the last that needs lines before
        ``keep_from``."""
        for _ in range(len(self._freed), max(min(keep_from, self.lines), 0)):
            last = self._freed[-1] + 2 if self._freed else 0
            self._freed.append(max(cycle + self.ahead, last))

    @property
    def all_come(self):
        self._freed += [0] * (self.lines - len(self._freed))
        self._take(self.lines - 1)
        return self._came[-1]

    def _take(self, line):
        for each in range(len(self._came), line + 1):
            begin, end = each * self.line_words, (each + 1) * self.line_words
            now = self._next
            # The last words may have to wait for the room of one line more than the first.
            while begin < end:
                wanted = max(-(-(begin + 1 - self.words) // self.line_words), 0)
                until = min(end, self.words + wanted * self.line_words)
                if wanted:
                    now = max(now, self._freed[wanted - 1])
                alone = until - begin if self.shared is None else (
                    min(max(self.shared - now, 0) / self.cost, until - begin))
                now += round(alone * self.cost + (until - begin - alone) * self.share)
                begin = until
            self._came.append(now - 1)
            self._next = now + 1
