"""Cycles of a convolution, from the configuration of its im2col unit alone."""

from systolith.compiler.cost.arrivals import LineArrivals, WeightArrivals
from systolith.compiler.cost.conv_loops import Band, ConvLoops
from systolith.compiler.cost.drain import DrainTiming, requantizer_cycles
from systolith.compiler.cost.layer_cycles import LayerCycles
from systolith.compiler.cost.machine import Machine

__all__ = ["ConvModel"]

#: From the start to the first vector, besides the latency of the im2col unit, if no line has to be
#: waited for: the first tile, and the first line of it.
FIRST_TILE = 5


class ConvModel:
    """The time of a layer on the convolution unit of a machine, without simulation.

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

    Parameters
    ----------
    machine : :class:`~systolith.compiler.cost.machine.Machine`
    sum_latency : :class:`int`
        Cycles from a beat of sums to the requantizer that takes it.
    """

    def __init__(self, machine: Machine, *, sum_latency: int = 0) -> None:
        if not isinstance(machine, Machine):
            raise TypeError(f"machine must be a Machine, not {machine!r}")
        self.machine = machine
        #: Cycles from the beat that a requantiser takes to the layer's end.
        self.finish = machine.requantizer_latency + 1 + sum_latency

    def run(self, config: dict[str, int], *, beat: int = 0, start: int = 0, again: int = 0,
            short_acc: int = 0, ahead: int = 0) -> LayerCycles:
        """The :class:`LayerCycles` of a layer with the fields ``config`` of the configuration of
        the im2col unit, which begins after ``start`` cycles, and whose weights may come ``ahead``
        cycles before that.

        ``beat`` are the cycles of a beat, if more than those of the requantizer. If results are
        added to what lies where they go, ``again`` are those from the end of the first
        requantisation of the last beat to that of the second. If all sums are ``short_acc``, the
        first takes a cycle less.
        """
        machine, loops = self.machine, ConvLoops.of(config, self.machine.pixel_lanes)
        timing = DrainTiming.of(machine, beat=beat, short_acc=short_acc, residual=again > 0)
        layer = _Layer(machine, loops, timing, ahead, LineArrivals(
            machine, lines=config["lines"], line_words=config["line_words"]))
        begin = layer.now
        for band in loops.bands:
            layer.run_band(band)
        tail = again or timing.beat - requantizer_cycles(machine, short_acc)
        end = layer.end(self.finish - short_acc + tail)
        return LayerCycles(
            cycles=start + end, start=start + begin, array=layer.array, weights=layer.weights,
            input=layer.input, drain=layer.drain, ahead=end - layer.loaded)


class _Layer:
    """A layer under way: the cycle that is ``now``, counted from its start, and what those since
    the first vector were spent on."""

    def __init__(self, machine: Machine, loops: ConvLoops, timing: DrainTiming, ahead: int,
                 lines: LineArrivals) -> None:
        self._machine, self._min_tile = machine, machine.min_tile
        self._loops, self._timing, self._lines = loops, timing, lines
        self._rows = WeightArrivals(machine, first=machine.weights_start, ahead=ahead)
        self.array = self.weights = self.input = self.drain = 0
        weights = machine.weights_start + machine.array.rows + 1
        self.now = machine.start_cycles + max(weights, self._rows.cycle,
                                              FIRST_TILE + machine.im2col_latency)
        # First vectors of the last tile and of the one before it: when their weights came into use.
        self._swap, self._swap_before = -self._min_tile, weights - self._min_tile
        # Last beats of the last two drains.
        self._released = self._released_before = -timing.gap

    def run_band(self, band: Band) -> None:
        """All passes of a band."""
        for number in range(self._loops.passes):
            self._wait_for_accumulators()
            self._wait_for_params(band)
            if number == 0:
                self._first_pass(band)
            else:
                self._further_pass(band)
            self.array += self._loops.tiles * band.vectors
            self._drain_pass(band)
        self._lines.free(band.keep_from, self.now - 1)

    def end(self, finish: int) -> int:
        """The cycle of the layer's end, ``finish`` cycles after its last beat left the
        accumulators, and not before its input has come."""
        end = max(self._released + finish, self._lines.end())
        self.drain += end - self.now
        return end

    @property
    def loaded(self) -> int:
        """The cycle from which no weights are missing: a tile's come while the one before it is at
        work."""
        return self._swap_before + self._min_tile

    def _wait_for_accumulators(self) -> None:
        """A pass begins when the last but one has left its half of them."""
        free = max(self.now, self._released_before + 1)
        self.drain += free - self.now
        self.now = free

    def _wait_for_params(self, band: Band) -> None:
        """Parameters of a pass come between its weights, if these leave no room for them."""
        room = self._loops.tiles * max(band.vectors - self._min_tile, 0)
        wait = max(self._machine.param_stall - room, 0)
        self.weights += wait
        self.now += wait
        self._swap += wait

    def _weights_ready(self) -> int:
        """The first cycle in which the next tile may begin."""
        return max(self.now, self._swap + self._min_tile, self._rows.cycle)

    def _first_pass(self, band: Band) -> None:
        """Tile by tile, as lines of input may have to be waited for."""
        for offset in self._loops.kernel:
            there = self._lines.cycle_of_last(band.tops[-1] + offset + self._loops.lane_steps[-1])
            for _ in range(self._loops.chunks):
                ready = self._weights_ready()
                self.weights += ready - self.now
                self._rows.take(ready)
                self._swap_before = max(self._swap, self._swap_before)
                self._swap = self.now = ready
                if there <= self.now:
                    self.now += band.vectors
                else:
                    self._lines_of_tile(band, offset)

    def _lines_of_tile(self, band: Band, offset: int) -> None:
        """The vectors of a tile, each line of them when its input has come in every pixel lane."""
        for number, top in enumerate(band.tops):
            come = max(self.now, *(self._lines.cycle(top + offset + lane)
                                   for lane in self._loops.lane_steps))
            if number == 0:
                self._swap = come
            self.input += come - self.now
            self.now = come + self._loops.width

    def _further_pass(self, band: Band) -> None:
        """All tiles at once: nothing but weights is waited for, as all lines are there."""
        tiles, each = self._loops.tiles, max(band.vectors, self._min_tile)
        last = max(self._weights_ready() + (tiles - 1) * each, self._rows.after(tiles - 1))
        self._swap_before, self._swap = self._swap if tiles == 1 else last - each, last
        self._rows.take(last, tiles)
        self.weights += last - self.now - (tiles - 1) * band.vectors
        self.now = last + band.vectors

    def _drain_pass(self, band: Band) -> None:
        """The drain of a pass begins when its last vector has gone through the array, and the drain
        before is over."""
        first = max(self.now - 1 + self._machine.beat_latency, self._released + self._timing.gap)
        if self._timing.residual and not self._lines.shared:
            # From now on what results are added to is read between the words of input.
            beats = band.pixels * self._timing.groups * self._loops.passes
            words = max(band.lines * self._loops.y_step, 1) * self._lines.line_words
            self._lines.share(first, min(1 + beats / words,
                                         self._timing.beat / (self._timing.beat - 1)))
        self._released_before = self._released
        self._released = first + self._timing.cycles(band.pixels)
