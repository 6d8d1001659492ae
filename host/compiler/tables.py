"""What the Add unit computes: sums of two tensors, and any function of one byte."""

import numpy as np

from host.compiler import float32
from host.compiler.float32 import BYTES
from host.compiler.program import Layer
from host.compiler.walks import loops, pixels_store
from host.compiler.windows import FULL_RANGE, clamp
from host.golden_run import run_operator
from host.layers import requantisation
from rtl.accelerator.add import TABLE, entry_rows
from rtl.accelerator.descriptor import Kind
from sim.golden.operators import rescaled
from sim.golden.requantize import channel_params

__all__ = ["add", "function", "table_of"]


def _layer(context, operator, first, delta, table, limits, bias=0, scale=None):
    """Words of ``first`` and of what lies ``delta`` words from it, by the ``table``."""
    cols, lanes = context.core.array.cols, context.core.lanes
    scale = scale or requantisation(context.graph, 1.0)
    rows = np.zeros((TABLE, entry_rows(cols) * cols), np.int8)
    rows[:, :4] = table.astype("<i4").view(np.int8).reshape(TABLE, 4)
    return Layer(
        kind=Kind.ADD, operator=operator, weights=rows.reshape(-1, cols),
        params={"bias": np.full(lanes, bias), "multiplier": np.full(lanes, scale[0]),
                "shift": np.full(lanes, scale[1])},
        fields={"range": limits,
                "fetch": loops((2, delta), (first.pixel_words, 1), (first.width, first.pixel_step),
                               (first.height, first.line_step), base=first.base),
                "store": pixels_store(context.core, context.target(operator), first.pixel_words)})


def add(context, operator):
    """The sum of two tensors of one shape; the one of the larger scale is the first operand."""
    graph = context.graph
    low, high = graph.clamp(operator)
    if graph.rounding == "float32":
        *operands, table, factor, zero_point = float32.total(graph, operator)
        first, second = (context.source(operator, n) for n in operands)
        return [_layer(context, operator, first, second.base - first.base, table,
                       {"zero_point": zero_point, "low": low, "high": high}, 0,
                       requantisation(graph, factor))]
    operands = sorted(range(2), key=lambda n: -graph.operand(operator, n).scale)
    a, b = (graph.operand(operator, n) for n in operands)
    first, second = (context.source(operator, n) for n in operands)
    y, twice = graph.result(operator), 2 * a.scale
    return [_layer(
        context, operator, first, second.base - first.base,
        rescaled((BYTES.astype(np.int64) - b.zero_point) << 20, b.scale / twice),
        {"zero_point": y.zero_point, "low": low, "high": high}, -a.zero_point << 19,
        channel_params(twice / ((1 << 20) * y.scale)))]


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
                   table.astype(np.int64) - (BYTES.astype(np.int64) << 19), FULL_RANGE)]
