"""What the Add unit computes: sums of two tensors, and any function of one byte."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtl.accelerator.control.descriptor import Kind
from rtl.accelerator.units.add import TABLE, entry_rows
from sim.golden.operators import rescaled
from sim.golden.requantize import channel_params
from sim.golden.types import Int8, Int64, Pair
from systolith.compiler.codegen.loop_nests import MOST, loops, pixels_store
from systolith.compiler.codegen.program import Layer
from systolith.compiler.layout.region import Region
from systolith.compiler.lowering import float32_tables as float32
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.float32_tables import BYTES
from systolith.compiler.lowering.pooling import FULL_RANGE, clamp
from systolith.compiler.tiling.conv_layer import Limits
from systolith.compiler.tiling.conv_layers import requantisation
from systolith.graph.attributes import pair_of
from systolith.graph.interpreter import run_operator
from systolith.graph.ir import Graph, Operator

__all__ = ["add", "fused", "function", "table_of"]


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Entries of the table that is added, and how to scale, multiplier and shift, and to clamp
    sums."""

    entries: Int64
    scale: Pair
    limits: Limits


def _table(context: Context, operator: Operator, sums: _Sums) -> Layer:
    """The layer that loads the table, and how to scale and to clamp sums."""
    cols, drain_lanes = context.machine.array.cols, context.machine.drain_lanes
    rows = np.zeros((TABLE, entry_rows(cols) * cols), np.int8)
    rows[:, :4] = sums.entries.astype("<i4").view(np.int8).reshape(TABLE, 4)
    return Layer(
        kind=Kind.TABLE, operator=operator, weights=rows.reshape(-1, cols),
        params={"bias": np.zeros(drain_lanes, int),
                "multiplier": np.full(drain_lanes, sums.scale[0]),
                "shift": np.full(drain_lanes, sums.scale[1])}, fields={"range": sums.limits})


def _layers(context: Context, operator: Operator, first: Region, delta: int,
            sums: _Sums) -> list[Layer]:
    """Words of ``first`` and of what lies ``delta`` words from it, by the table."""
    layer = _table(context, operator, sums)
    return [replace(layer, kind=Kind.ADD, fields=layer.fields | {
        "fetch": loops((2, delta), (source.pixel_words, 1), (source.width, source.pixel_step),
                       (source.height, source.line_step), base=source.base),
        "store": pixels_store(context.machine, target, source.pixel_words)})
        for source, target in zip(first.pieces(MOST - 1), context.target(operator).pieces(MOST - 1),
                                  strict=True)]


def _sum(graph: Graph, operator: Operator) -> tuple[Pair, _Sums]:
    """Which operand is shifted and which one looked up, by position, and the table of that."""
    low, high = graph.clamp(operator)
    if graph.rounding == "float32":
        found = float32.total(graph, operator)
        assert found is not None, f"{operator} runs on the host"
        shifted, looked_up, table, factor, zero_point = found
        return (shifted, looked_up), _Sums(
            entries=table, scale=requantisation(graph, factor),
            limits={"zero_point": zero_point, "low": low, "high": high})
    operands = pair_of(sorted(range(2), key=lambda n: -graph.activation(operator, n).scale))
    a, b = (graph.activation(operator, n) for n in operands)
    y, twice = graph.result(operator), 2 * a.scale
    table = rescaled((BYTES.astype(np.int64) - b.zero_point) << 20, b.scale / twice)
    return operands, _Sums(entries=table - (a.zero_point << 19),
                           scale=channel_params(twice / ((1 << 20) * y.scale)),
                           limits={"zero_point": y.zero_point, "low": low, "high": high})


def add(context: Context, operator: Operator) -> list[Layer]:
    """The sum of two tensors of one shape; the one of the larger scale is the first operand."""
    operands, sums = _sum(context.graph, operator)
    first, second = (context.source(operator, n) for n in operands)
    return _layers(context, operator, first, second.base - first.base, sums)


def fused(context: Context, operator: Operator, convolution: Sequence[Layer]) -> list[Layer]:
    """The sum of the results of the last layer of a ``convolution``, given by its layers, and of
    what lies where they go."""
    (_, second), sums = _sum(context.graph, operator)
    *before, last = convolution
    turned = operator.inputs[second] == last.operator.outputs[0]
    return [*before, _table(context, operator, sums),
            replace(last, fields=last.fields | {"sum": 1, "turned": int(turned)})]


def table_of(graph: Graph, operator: Operator) -> Int8:
    """Result of an operator that looks at one number at a time, for each int8 by its bits."""
    return run_operator(graph, operator, {operator.inputs[0]: BYTES})


def function(context: Context, operator: Operator) -> list[Layer]:
    """Any function of one number: a clamp where it is one, otherwise by table.

    The unit adds ``x << 19`` of the first operand, which here is the second one too: the table
    takes that back.
    """
    table = table_of(context.graph, operator)
    low, high = int(table.min()), int(table.max())
    if np.array_equal(table, np.clip(BYTES, low, high)):
        return clamp(context, operator, low, high)
    sums = _Sums(entries=table.astype(np.int64) - (BYTES.astype(np.int64) << 19),
                 scale=requantisation(context.graph, 1.0), limits=FULL_RANGE)
    return _layers(context, operator, context.source(operator), 0, sums)
