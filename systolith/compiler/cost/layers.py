# amaranth: UnusedElaboratable=no
"""Cycles of a layer of the accelerator, from its descriptor alone."""

from dataclasses import replace
from math import ceil

from rtl.accelerator.control.descriptor import Kind, descriptor_words
from rtl.accelerator.memories import OUTER_SLOTS
from rtl.accelerator.units.add import TABLE, entry_rows
from rtl.conv2d import Conv2d
from systolith.compiler.cost.convolution import ConvModel, LayerCycles

__all__ = ["CycleModel", "planning_core"]

#: Words of SDRAM that come in the time of so many and one more: rows close, and are refreshed. How
#: much later than from a memory on the chip the first one comes.
SDRAM_WORDS, SDRAM_LATENCY = 43, 5

#: Where one unit walks all loops: cycles to the first vector of a layer, besides.
SERIAL = 11
#: Where all lies in one memory: cycles in which a word comes, as one after the other is asked for,
SINGLE_MEMORY = 2
#: one of a layer, which goes after weights, and the parameters of a channel: those of narrow sums
#: wait less, as beats that are stored every second cycle leave the others to them. By how much
#: those of a channel keep weights back.
WORD, PARAMS, PARAM_WAIT = 2.15, (9, 7), 1.5
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
#: From the last sum of a convolution's results to its end, besides the latency of the requantizer:
#: what a table that comes next is early.
TABLE_AFTER = 8


def planning_core(params):
    """The :class:`Conv2d` inside an accelerator, to look at."""
    core = Conv2d(params.array, depth=params.depth, drain_lanes=params.drain_lanes, counter=False,
                  pixel_lanes=params.pixel_lanes, requantize=params.requantize,
                  rounding=params.rounding, output_register=params.output_register,
                  buffer_bytes=params.buffer_bytes, word_bytes=params.word_bytes,
                  max_lines=params.max_lines, max_images=1)
    core.weight_cost, core.scatter_cost = int(params.single_memory), params.drain_lanes
    core.start_cost = SERIAL * params.shared_agu
    core.params_ahead = params.output_register
    core.first_word += 2 * params.output_register  # registers on the way
    core.short_acc_range = params.short_acc_range
    if params.single_memory:
        core.word_cost, core.param_costs = WORD, PARAMS
        core.param_wait = round(PARAM_WAIT * params.array.cols)
        core.min_tile = core.gemm.min_tile = max(
    core.min_tile, SINGLE_MEMORY * params.array.rows + 1)
    if params.sdram_bits:
        # As many as the reader has room for, and one that the array takes meanwhile.
        core.row_cost, core.rows_ahead = _row_cost(params), OUTER_SLOTS + 1
        core.row_latency = SDRAM_LATENCY
        core.min_tile = max(core.min_tile, ceil(params.array.rows * core.row_cost))
    return core


def _row_cost(params):
    """Cycles in which a row of weights comes, in the long run."""
    if params.single_memory:
        return SINGLE_MEMORY
    return params.word_cycles * (SDRAM_WORDS + 1) / SDRAM_WORDS if params.sdram_bits else 1


class CycleModel:
    """The time that layers take in a build of the accelerator, without simulation.

    Convolutions take what :class:`ConvModel` says; a store that scatters the channels of a beat
    takes `lanes` cycles for each. Where results are added to others, each beat is requantised
    twice, and with a serial requantiser its parameters change each time.

    Pools take `max(cells, beats)` cycles a window, sums `max(2, beats)` a word, of `word_bytes /
    drain_lanes` beats, each of ``requantize`` cycles; before sums, the table comes. Of convolutions
    of ``short_acc`` sums beats take a cycle less.

    Latencies are those that the units promise. Weights from SDRAM take `word_cycles` a row and
    2.3 % for refreshes and rows that close; so many as wait before the array come without that.

    Parameters
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`
    """

    def __init__(self, params):
        self.params = params
        self.rate = params.requantize
        self.beats = params.word_bytes // params.drain_lanes
        self.conv = ConvModel(planning_core(params))
        self.conv.finish += params.output_register  # sums go through a register
        self.finish = self.conv.finish
        self.fetch = 3 + 3 * params.output_register  # from the start to the first word
        self.weights = self.conv.weights            # to the first row of weights
        self.constants = 3 + params.drain_lanes           # to the first parameters
        self.table_rows = ceil(TABLE * entry_rows(params.array.cols) * _row_cost(params))
        self.table = 1 + params.output_register     # from a pair to its first sum, but one

    def run(self, layers):
        """Cycles from go to done: those of the layers, and the end of the program."""
        end = 1 if self.params.prefetch else descriptor_words(self.params) + 2
        return sum(each.cycles for each in self.layers(layers)) + end

    def layers(self, layers):
        """The :class:`LayerCycles` of each :class:`~systolith.compiler.codegen.program.Layer` of a
        program."""
        expected, load = [], descriptor_words(self.params) + LOAD
        begin, ahead = load, 0
        for layer in layers:
            expected.append({Kind.CONV: self._conv, Kind.POOL: self._pool, Kind.ADD: self._add,
                             Kind.TABLE: self._table}[
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
        rate = self.rate - fields.get("narrow", 0)
        if fields.get("sum"):
            return rate + self.rate
        return max(rate, self.params.drain_lanes if fields["store"].get("lane_step") else 1)

    def _pool(self, fields, begin, _):
        loops = [1 - loop["count"] for loop in fields["fetch"]["loops"]]
        cells, windows = loops[0] * loops[1], loops[2] * loops[3] * loops[4]
        rate = self._rate(fields)
        full = self.fetch + 1 + cells + (windows - 1) * max(cells, self.beats * rate)
        end = max(full, self.constants) + self.beats * rate - self.rate + self.finish
        return LayerCycles(cycles=begin + end, start=begin + self.fetch, ahead=end,
                           input=windows * cells, drain=end - self.fetch - windows * cells)

    def _add(self, fields, begin, ahead):
        pairs = 1
        for loop in fields["fetch"]["loops"][1:]:
            pairs *= 1 - loop["count"]
        ready = max(self.weights + self.table_rows - ahead, self.fetch + 2)
        rate = self._rate(fields)
        last = ready + (pairs - 1) * max(2, self.beats * rate)
        end = last + self.table + self.beats * rate - self.rate + self.finish
        # The next layer's table, if it has one, is taken when the last pair is under way.
        return LayerCycles(cycles=begin + end, start=begin + ready, drain=end - ready,
                           ahead=end - last + TABLE_AHEAD)

    def _table(self, fields, begin, ahead):
        weights = self.weights + self.conv.core.row_latency + self.table_rows
        end = max(weights - 1 - ahead, self.constants - ahead, 2)
        return LayerCycles(cycles=begin + end, start=begin + end, ahead=end)

    def _conv(self, fields, begin, ahead):
        short_acc = fields.get("narrow", 0)
        if not fields.get("sum"):
            return self.conv.run(fields["conv"], self._rate(fields), begin, short_acc=short_acc,
                                 ahead=ahead)
        latency = self.conv.core.gemm.requantizer.latency
        spent = self.conv.run(fields["conv"], self._rate(fields), begin,
                              latency + 6 + 2 * self.params.output_register, short_acc, ahead)
        # The next table may come when the last result has met what it is added to.
        return replace(spent, ahead=latency + TABLE_AFTER)
