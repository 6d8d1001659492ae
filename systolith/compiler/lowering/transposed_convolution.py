"""Transposed convolutions as ordinary ones, one for each line and pixel of the stride."""

import math
from dataclasses import replace

import numpy as np

from rtl.im2col import ConvShape
from systolith.compiler.codegen.loop_nests import loops, pixels_fetch
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_layers import layer_constants
from systolith.compiler.tiling.conv_plan import ConvPlan

__all__ = ["transposed", "transposed_plans"]


def _phases(size, outputs, kernel, stride, before):
    """Along one axis: for each phase of the stride (first output, outputs, taps, first input).

    Output ``o`` reads input ``i`` with tap ``o + before - i * stride``; so outputs ``stride`` apart
    read with the same taps, here in the order of the inputs: a convolution, that begins to read at
    ``first input``, which may lie outside.
    """
    phases = []
    for first in range(min(stride, outputs)):
        region, tap = divmod(first + before, stride)
        taps = list(range(tap, kernel, stride))[::-1]
        phases.append((first, -(-(outputs - first) // stride), taps, region - len(taps) + 1))
    return phases


def _cut(size, first, outputs, taps):
    """Of an input axis: (begin, end) of what is read, and the padding on both sides."""
    last = first + outputs - 1 + taps  # exclusive
    begin, end = min(max(first, 0), size), min(max(last, 0), size)
    return (begin, end), (begin - first, last - end)


def transposed_plans(machine, graph, operator, region):
    """``(plan, rows, cols, target)`` of each convolution: what it reads of the image (begin,
    end), and of the result the first line and pixel; ``rows`` is None where nothing is read."""
    x, weights = graph.activation(operator), graph.weights(operator)
    y = graph.result(operator)
    layer = layer_constants(graph, operator)
    fill = region.filled - region.channels
    rows, cols = (_phases(*axis) for axis in zip(
        x.shape[1:3], y.shape[1:3], weights.shape[1:3], operator.attributes.stride,
        (before for before, _ in operator.attributes.padding), strict=True))
    plans = []
    for top, lines, row_taps, row in rows:
        for left, pixels, col_taps, col in cols:
            (y_range, y_pad), (x_range, x_pad) = (
                _cut(size, first, count, len(taps)) for size, first, count, taps in
                ((x.shape[1], row, lines, row_taps), (x.shape[2], col, pixels, col_taps)))
            part = weights.data[:, row_taps][:, :, col_taps]
            reads = part.size and y_range[0] < y_range[1] and x_range[0] < x_range[1]
            if reads:
                shape = ConvShape(
                    height=y_range[1] - y_range[0], width=x_range[1] - x_range[0],
                    channels=region.filled, kernel=part.shape[1:3], padding=(y_pad, x_pad))
                part = np.pad(part, ((0, 0), (0, 0), (0, 0), (0, fill)))
            else:  # constants: a convolution of anything with zeros
                shape = ConvShape(height=lines, width=pixels, channels=region.word_bytes)
                part = np.zeros((len(weights.data), 1, 1, region.word_bytes), np.int8)
            plan = ConvPlan(machine, ConvLayer(shape=shape, weights=part, **layer), fold=False,
                            transpose=False)
            plans.append((plan, (y_range, x_range) if reads else None, (top, left)))
    return plans


def transposed(context, operator):
    """Each convolution goes over the image as it is, and its results lie a stride apart."""
    source, target = context.source(operator), context.target(operator)
    stride = operator.attributes.stride
    layers = []
    for plan, ranges, (top, left) in transposed_plans(context.machine, context.graph, operator,
                                                      source):
        shape, filters = plan.layer.shape, len(plan.layer.weights)
        if ranges is None:
            macs = 0
            fetch = loops((1, 0), (shape.width, 0), (shape.height, 0), base=source.base)
        else:
            (y, x), taps = ranges, math.prod(shape.kernel) * source.channels
            macs = shape.out_height * shape.out_width * taps * filters
            fetch = pixels_fetch(replace(
                source.part(y[0], x[0], y[1] - y[0], x[1] - x[0]), channels=source.channels))
        layers.append(plan_layer(
            context.machine, operator, plan, fetch,
            target.part(top, left, shape.out_height, shape.out_width, stride), macs))
    return layers
