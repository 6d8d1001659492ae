# amaranth: UnusedElaboratable=no
"""Cycles of a layer of the accelerator, from its descriptor alone."""

from dataclasses import dataclass

from rtl.accelerator.add import TABLE, entry_rows
from rtl.accelerator.descriptor import Kind, descriptor_words
from rtl.gemm import Gemm
from rtl.im2col import Im2col
from rtl.postprocess import Requantizer

__all__ = ["CycleModel", "LayerCycles"]

#: From the cycle that starts a layer to the one in which the first word reaches the line buffer:
#: its unit takes a configuration, then begins anew.
FIRST_WORD = 4
#: From that start to the first vector, besides the latency of the im2col unit, if no line has to
#: be waited for: the first tile, and the first line of it.
FIRST_TILE = 5
#: From the last vector of a band to room for a word in place of the lines that it frees, besides
#: the latency of the line buffer, which is read ahead.
FREE = 3
#: From the end of a layer to the start of the next one.
SEQUENCE = 2
#: From go, or without prefetch the end of a layer, to the start of the next one, besides one for
#: each word of its descriptor: to read it, and to start the readers of weights.
LOAD = 4
#: By how much the readers of weights start before the units of their layer could.
EARLY = 12
#: From the last pair of a sum to the first entry of the next one's table, earlier than from the
#: last beat.
TABLE_AHEAD = 5


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


class CycleModel:
    """The time that layers take in a build of the accelerator, without simulation.

    A convolution is a sequence of passes. With `vectors` in a tile, those of the lines of a band
    (for a FIR with the vectors that end each line), a pass of `tiles` asks

        compute = tiles * max(vectors, min_tile)

    cycles of the array, ``min_tile`` being the least time in which the next tile's weights come,
    and

        drain = cols / lanes * (pixels * requantize + change) + gap

    of what follows it, `change` being a cycle for the next parameters of a serial requantiser. A
    store that scatters the channels of a beat takes `lanes` cycles for each, and parameters come
    one a cycle. As there are two halves of accumulators, pass `p` begins when pass `p - 1` is
    computed and pass `p - 2` has drained; the drain of `p` begins when it is computed and `p - 1`
    has drained. So in the long run a pass takes the larger of the two, and the last drain shows.

    Pixel lanes share all of that but the drain, in which `pixels` are those of all lanes.

    In the first pass of a band each line of vectors also waits for the line of input that it
    needs, in each pixel lane: input comes a word a cycle, and a cycle more for each line, as long
    as the line buffer has room, and a line's room is free again when the last band that needs it
    was read.

    Pools take `max(cells, beats)` cycles a window, sums `max(2, beats)` a word, of
    `word_bytes / lanes` beats, each of ``requantize`` cycles; before sums, the table comes.

    Latencies are those that the units promise.

    Parameters
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`
    """

    def __init__(self, params):
        self.params = params
        self.rate = params.requantize
        self.beats = params.word_bytes // params.lanes
        gemm = Gemm(params.array, depth=params.depth, lanes=params.lanes, requantize=0,
                    pixel_lanes=params.pixel_lanes, output_register=params.output_register)
        self.gemm = gemm
        self.im2col = Im2col(params.im2col)
        requantizer = Requantizer(lanes=params.lanes, cycles=params.requantize,
                                  rounding=params.rounding)
        # From the beat that a requantiser takes to the layer's end.
        self.finish = requantizer.latency + 1
        self.fetch = 3 + params.output_register     # from the start to the first word
        self.weights = 3 + params.output_register   # to the first row of weights
        self.constants = 3 + params.lanes           # to the first parameters
        self.table = 1 + params.output_register     # from a pair to its first sum, but one

    def run(self, layers):
        """Cycles from go to done: those of the layers, and the end of the program."""
        end = 1 if self.params.prefetch else descriptor_words(self.params) + 2
        return sum(each.cycles for each in self.layers(layers)) + end

    def layers(self, layers):
        """The :class:`LayerCycles` of each :class:`~host.compiler.program.Layer` of a program."""
        expected, load = [], descriptor_words(self.params) + LOAD
        begin, ahead = load, 0
        for layer in layers:
            expected.append({Kind.CONV: self._conv, Kind.POOL: self._pool, Kind.ADD: self._add}[
                layer.kind](layer.fields, begin, ahead))
            # The next descriptor comes meanwhile, and may take longer.
            spent = expected[-1].cycles - begin
            if self.params.prefetch:
                begin = max(SEQUENCE, load - spent)
                ahead = max(min(expected[-1].ahead, spent - load + EARLY), 0)
            else:
                begin = load
        return expected

    def _rate(self, fields):
        """Cycles of a beat that is requantised and stored."""
        return max(self.rate, self.params.lanes if fields["store"].get("lane_step") else 1)

    def _pool(self, fields, begin, _):
        loops = [loop["count"] + 1 for loop in fields["fetch"]["loops"]]
        cells, windows = loops[0] * loops[1], loops[2] * loops[3] * loops[4]
        rate = self._rate(fields)
        full = self.fetch + cells + (windows - 1) * max(cells, self.beats * rate)
        end = max(full, self.constants) + self.beats * rate - self.rate + self.finish
        return LayerCycles(cycles=begin + end, start=begin + self.fetch, ahead=end,
                           input=windows * cells, drain=end - self.fetch - windows * cells)

    def _add(self, fields, begin, ahead):
        pairs = 1
        for loop in fields["fetch"]["loops"][1:]:
            pairs *= loop["count"] + 1
        table = self.weights + TABLE * entry_rows(self.params.array.cols) + 1
        ready = max(table - ahead, self.fetch + 2)
        rate = self._rate(fields)
        last = ready + (pairs - 1) * max(2, self.beats * rate)
        end = last + self.table + self.beats * rate - self.rate + self.finish
        # The next layer's table, if it has one, is taken when the last pair is under way.
        return LayerCycles(cycles=begin + end, start=begin + ready, drain=end - ready,
                           ahead=end - last + TABLE_AHEAD)

    def _conv(self, fields, start, _):
        conv, gemm = fields["conv"], self.gemm
        rate, lanes = self.rate, self.params.lanes
        lines = _Lines(conv, self.params.im2col.words, self.im2col)
        width = conv["x_count"] + 1
        out_width = width - conv.get("trail", 0)
        chunks = (conv["kw_count"] + 1) * (conv["chunks"] + 1)
        kernel = [kh * conv["kh_step"] for kh in range(conv["kh_count"] + 1)]
        tiles, passes = chunks * len(kernel), (conv["tiles"] + 1) * (conv["groups"] + 1)
        lane_steps = [lane * conv.get("lane_step", 0) for lane in range(self.params.pixel_lanes)]
        groups = self.params.array.cols // lanes
        beat = self._rate(fields)
        change = lanes if rate == 1 else rate + lanes
        tail = gemm.systolic.latency - gemm.systolic.lead + gemm.accumulators.latency
        gap = max(gemm.accumulators.lead + 3, change)

        begin = max(self.weights + self.params.array.rows + 1, FIRST_TILE + self.im2col.latency)
        now, swap = begin, -gemm.min_tile           # the next vector; the last tile's first one
        released = [-gap, -gap]                     # last beats of the last two drains
        spent = dict.fromkeys(("array", "weights", "input", "drain"), 0)
        for first in range(0, conv["y_count"] + 1, conv["band"] + 1):
            count = min(conv["band"] + 1, conv["y_count"] + 1 - first)
            vectors, pixels = count * width, count * out_width * self.params.pixel_lanes
            tops = [conv["y_origin"] + (first + n) * conv["y_step"] for n in range(count)]
            group = (pixels - 1) * beat + max(beat, change)
            for number in range(passes):
                free = max(now, released[-2] + 1)
                spent["drain"] += free - now
                now = free
                if number == 0:
                    for offset in kernel:
                        for _ in range(chunks):
                            free = max(now, swap + gemm.min_tile)
                            spent["weights"] += free - now
                            now = swap = free
                            for top in tops:
                                come = max(now, *(lines.come(top + offset + step)
                                                  for step in lane_steps))
                                if top == tops[0]:
                                    swap = come
                                spent["input"] += come - now
                                now = come + width
                else:
                    each = max(vectors, gemm.min_tile)
                    free = max(now, swap + gemm.min_tile)
                    swap = free + (tiles - 1) * each
                    spent["weights"] += free - now + (tiles - 1) * (each - vectors)
                    now = swap + vectors
                spent["array"] += tiles * vectors
                drain = max(now - 1 + tail, released[-1] + gap)
                released = [released[-1], drain + (groups - 1) * group + (pixels - 1) * beat]
            lines.free(conv["y_origin"] + (first + count) * conv["y_step"], now - 1)
        end = max(released[-1] + self.finish + beat - rate,
                  lines.all_come + self.im2col.latency)
        spent["drain"] += end - now
        # A tile's weights come while the one before it is at work.
        loaded = swap - max(vectors - gemm.min_tile, 0)
        return LayerCycles(cycles=start + end, start=start + begin, ahead=end - loaded, **spent)


class _Lines:
    """When each line of the input has come, and its vectors can leave."""

    def __init__(self, conv, words, im2col):
        self.lines, self.line_words, self.words = conv["lines"], conv["line_words"], words
        self.latency = im2col.latency
        self.ahead = FREE - 1 - im2col.params.output_register
        self._came = []     # when the last word of each line did
        self._freed = []    # when the room of each line was free again
        self._next = FIRST_WORD

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
                now, begin = now + until - begin, until
            self._came.append(now - 1)
            self._next = now + 1
