"""Cycles of a layer of the accelerator, from its descriptor alone."""

from collections.abc import Iterable
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

from rtl.accelerator.control.descriptor import Kind
from rtl.accelerator.units.add import TABLE, entry_rows
from systolith.compiler.cost.convolution import ConvModel
from systolith.compiler.cost.layer_cycles import LayerCycles
from systolith.compiler.cost.machine import Machine

if TYPE_CHECKING:
    from systolith.compiler.codegen.program import Layer

__all__ = ["CycleModel"]

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


class CycleModel:
    """The time that layers take on an accelerator, without simulation.

    Convolutions take what :class:`ConvModel` says; a store that scatters the channels of a beat
    takes `drain_lanes` cycles for each. Where results are added to others, each beat is requantised
    twice, and with a serial requantiser its parameters change each time.

    Pools take `max(cells, beats)` cycles a window, sums `max(2, beats)` a word, of `word_bytes /
    drain_lanes` beats, each of ``requantize`` cycles; before sums, the table comes. Of convolutions
    of ``short_acc`` sums beats take a cycle less.

    Latencies are those that the units promise. Weights from SDRAM take `word_cycles` a row and
    2.3 % for refreshes and rows that close; so many as wait before the array come without that.

    Parameters
    ----------
    machine : :class:`~systolith.compiler.cost.machine.Machine`
        Of an accelerator.
    """

    def __init__(self, machine: Machine) -> None:
        if not isinstance(machine, Machine):
            raise TypeError(f"machine must be a Machine, not {machine!r}")
        if not machine.descriptor_words:
            raise ValueError("machine must be that of an accelerator, not of a core alone: make it "
                             "by Machine.of")
        self.machine = machine
        # Sums go through a register before the requantiser.
        self.conv = ConvModel(machine, sum_latency=machine.output_register)
        self.rate, self.beats = machine.requantize, machine.word_beats
        self.finish = self.conv.finish
        self.fetch = 3 + 3 * machine.output_register  # from the start to the first word
        self.weights = machine.weights_start        # to the first row of weights
        self.constants = 3 + machine.drain_lanes    # to the first parameters
        self.table_rows = ceil(TABLE * entry_rows(machine.array.cols) * max(
            machine.weight_row_cycles, machine.weight_row_interval))
        self.table = 1 + machine.output_register    # from a pair to its first sum, but one

    def run(self, layers: Iterable["Layer"]) -> int:
        """Cycles from go to done: those of the layers, and the end of the program."""
        end = 1 if self.machine.prefetch else self.machine.descriptor_words + 2
        return sum(each.cycles for each in self.layers(layers)) + end

    def layers(self, layers: Iterable["Layer"]) -> list[LayerCycles]:
        """The :class:`LayerCycles` of each :class:`~systolith.compiler.codegen.program.Layer` of a
        program."""
        expected, load = [], self.machine.descriptor_words + LOAD
        begin, ahead = load, 0
        for layer in layers:
            cycles = self._layer(layer, begin, ahead)
            expected.append(cycles)
            # The next descriptor comes meanwhile, and may take longer.
            spent = cycles.cycles - begin
            if self.machine.prefetch:
                begin = max(SEQUENCE, load - spent)
                ahead = max(min(cycles.ahead, spent - load + EARLY), 0)
            else:
                begin = load
        return expected

    def _layer(self, layer: "Layer", begin: int, ahead: int) -> LayerCycles:
        """Of one that starts after ``begin`` cycles, and whose weights may come ``ahead`` cycles
        before that."""
        match layer.kind:
            case Kind.CONV:
                return self._conv(layer.fields, begin, ahead)
            case Kind.POOL:
                return self._pool(layer.fields, begin)
            case Kind.ADD:
                return self._add(layer.fields, begin, ahead)
            case Kind.TABLE:
                return self._table(begin, ahead)
        raise ValueError(f"no cycles are known of a layer of the kind {layer.kind!r}")

    def _rate(self, fields: dict[str, Any]) -> int:
        """Cycles of a beat that is requantised and stored."""
        rate = self.rate - fields.get("narrow", 0)
        if fields.get("sum"):
            return rate + self.rate
        return max(rate, self.machine.scatter_cycles if fields["store"].get("lane_step") else 1)

    def _pool(self, fields: dict[str, Any], begin: int) -> LayerCycles:
        loops = [1 - loop["count"] for loop in fields["fetch"]["loops"]]
        cells, windows = loops[0] * loops[1], loops[2] * loops[3] * loops[4]
        rate = self._rate(fields)
        full = self.fetch + 1 + cells + (windows - 1) * max(cells, self.beats * rate)
        end = max(full, self.constants) + self.beats * rate - self.rate + self.finish
        return LayerCycles(cycles=begin + end, start=begin + self.fetch, ahead=end,
                           input=windows * cells, drain=end - self.fetch - windows * cells)

    def _add(self, fields: dict[str, Any], begin: int, ahead: int) -> LayerCycles:
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

    def _table(self, begin: int, ahead: int) -> LayerCycles:
        weights = self.weights + self.machine.weight_latency + self.table_rows
        end = max(weights - 1 - ahead, self.constants - ahead, 2)
        return LayerCycles(cycles=begin + end, start=begin + end, ahead=end)

    def _conv(self, fields: dict[str, Any], begin: int, ahead: int) -> LayerCycles:
        machine, latency = self.machine, self.machine.requantizer_latency
        again = latency + 6 + 2 * machine.output_register if fields.get("sum") else 0
        spent = self.conv.run(
            fields["conv"], beat=self._rate(fields), start=begin, again=again,
            short_acc=fields.get("narrow", 0), ahead=ahead)
        # The next table may come when the last result has met what it is added to.
        return replace(spent, ahead=latency + TABLE_AFTER) if again else spent
