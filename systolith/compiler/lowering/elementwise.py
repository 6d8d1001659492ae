"""What the Add unit computes: sums of two tensors, and any function of one byte."""

from dataclasses import replace

import numpy as np

from rtl.accelerator.control.descriptor import Kind
from rtl.accelerator.units.add import TABLE, entry_rows
from sim.golden.operators import rescaled
from sim.golden.requantize import channel_params
from systolith.compiler.codegen.loop_nests import loops, pixels_store
from systolith.compiler.codegen.program import Layer
from systolith.compiler.lowering import float32_tables as float32
from systolith.compiler.lowering.float32_tables import BYTES
from systolith.compiler.lowering.pooling import FULL_RANGE, clamp
from systolith.compiler.tiling.conv_layers import requantisation
from systolith.graph.interpreter import run_operator

__all__ = ["add", "fused", "function", "table_of"]


def _table(context, operator, table, limits, scale):
    """The layer that loads the ``table``, and how to scale and to clamp sums."""
    cols, drain_lanes = context.machine.array.cols, context.machine.drain_lanes
    rows = np.zeros((TABLE, entry_rows(cols) * cols), np.int8)
    rows[:, :4] = table.astype("<i4").view(np.int8).reshape(TABLE, 4)
    return Layer(
        kind=Kind.TABLE, operator=operator, weights=rows.reshape(-1, cols),
        params={"bias": np.zeros(drain_lanes, int), "multiplier": np.full(drain_lanes, scale[0]),
                "shift": np.full(drain_lanes, scale[1])}, fields={"range": limits})


def _layer(context, operator, first, delta, *constants):
    """Words of ``first`` and of what lies ``delta`` words from it, by the table."""
    layer = _table(context, operator, *constants)
    return replace(layer, kind=Kind.ADD, fields=layer.fields | {
        "fetch": loops((2, delta), (first.pixel_words, 1), (first.width, first.pixel_step),
                       (first.height, first.line_step), base=first.base),
        "store": pixels_store(context.machine, context.target(operator), first.pixel_words)})


def _sum(graph, operator):
    """Which operand is shifted and which one looked up, by position; table, range and scale."""
    low, high = graph.clamp(operator)
    if graph.rounding == "float32":
        *operands, table, factor, zero_point = float32.total(graph, operator)
        return operands, table, {"zero_point": zero_point, "low": low, "high": high}, (
            requantisation(graph, factor))
    operands = sorted(range(2), key=lambda n: -graph.operand(operator, n).scale)
    a, b = (graph.operand(operator, n) for n in operands)
    y, twice = graph.result(operator), 2 * a.scale
    table = rescaled((BYTES.astype(np.int64) - b.zero_point) << 20, b.scale / twice)
    return (operands, table - (a.zero_point << 19),
            {"zero_point": y.zero_point, "low": low, "high": high},
            channel_params(twice / ((1 << 20) * y.scale)))


def add(context, operator):
    """The sum of two tensors of one shape; the one of the larger scale is the first operand."""
    operands, *constants = _sum(context.graph, operator)
    first, second = (context.source(operator, n) for n in operands)
    return [_layer(context, operator, first, second.base - first.base, *constants)]


def fused(context, operator, convolution):
    """The sum of the results of the last layer of a ``convolution``, given by its layers, and of
    what lies where they go."""
    (_, second), *constants = _sum(context.graph, operator)
    *before, last = convolution
    turned = operator.inputs[second] == last.operator.outputs[0]
    return [*before, _table(context, operator, *constants),
            replace(last, fields=last.fields | {"sum": 1, "turned": int(turned)})]


def table_of(graph, operator):
    """Result of an operator that looks at one number at a time, for each int8 by its bits."""
    return run_operator(graph, operator, {operator.inputs[0]: BYTES})


def function(context, operator):
    """Any function of one number: a clamp where it is one, otherwise by table.

    The unit adds ``x << 19`` of the first operand, which here is the second one too: the table
    takes that back.
    """
    table = table_of(context.graph, operator)
    low, high = int(table.min()), int(table.max())
    if np.array_equal(table, np.clip(BYTES, low, high)):
        return clamp(context, operator, low, high)
    return [_layer(context, operator, context.source(operator), 0,
                   table.astype(np.int64) - (BYTES.astype(np.int64) << 19), FULL_RANGE,
                   requantisation(context.graph, 1.0))]
