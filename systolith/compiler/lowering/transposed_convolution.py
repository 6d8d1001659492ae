"""Transposed convolutions as ordinary ones, one for each line and pixel of the stride."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from rtl.im2col import ConvShape
from systolith.compiler.codegen.loop_nests import loops, pixels_fetch
from systolith.compiler.codegen.program import Layer
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.region import Region
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_layers import layer_constants
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.graph.attributes import Pair, Window
from systolith.graph.ir import Graph, Operator

__all__ = ["transposed"]


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """Along one axis, outputs that read with the same ``taps``: so many from the ``first`` on, each
    a stride from the one before. They begin to read at the input ``begin``, which may lie
    outside."""

    first: int
    outputs: int
    taps: list[int]
    begin: int


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A convolution that gives every ``stride``-th line and pixel of the result from (``top``,
    ``left``) on, of the lines and pixels (begin, end) that it ``reads``, or of none."""

    plan: ConvPlan
    reads: tuple[Pair, Pair] | None
    top: int
    left: int


def _phases(outputs: int, kernel: int, stride: int, before: int) -> list[_Phase]:
    """Those of a stride along one axis.

    Output ``o`` reads input ``i`` with tap ``o + before - i * stride``; so outputs ``stride`` apart
    read with the same taps, here in the order of the inputs: a convolution.
    """
    phases = []
    for first in range(min(stride, outputs)):
        region, tap = divmod(first + before, stride)
        taps = list(range(tap, kernel, stride))[::-1]
        phases.append(_Phase(first=first, outputs=-(-(outputs - first) // stride), taps=taps,
                             begin=region - len(taps) + 1))
    return phases


def _cut(size: int, phase: _Phase) -> tuple[Pair, Pair]:
    """Of an input axis: (begin, end) of what is read, and the padding on both sides."""
    first, last = phase.begin, phase.begin + phase.outputs - 1 + len(phase.taps)  # exclusive
    begin, end = min(max(first, 0), size), min(max(last, 0), size)
    return (begin, end), (begin - first, last - end)


def _parts(machine: Machine, graph: Graph, operator: Operator, region: Region) -> list[_Part]:
    """All that a transposed convolution of an image in ``region`` amounts to."""
    x, weights = graph.activation(operator), graph.weights(operator)
    attributes: Window = operator.attributes
    layer = layer_constants(graph, operator)
    fill = region.filled - region.channels
    rows, cols = (_phases(outputs, kernel, stride, before)
                  for outputs, kernel, stride, (before, _) in zip(
                      graph.result(operator).size, weights.size, attributes.stride,
                      attributes.padding, strict=True))
    parts = []
    for row, col in itertools.product(rows, cols):
        (y_range, y_pad), (x_range, x_pad) = _cut(x.shape[1], row), _cut(x.shape[2], col)
        taps = weights.numbers[:, row.taps][:, :, col.taps]
        reads = taps.size and y_range[0] < y_range[1] and x_range[0] < x_range[1]
        if reads:
            shape = ConvShape(
                height=y_range[1] - y_range[0], width=x_range[1] - x_range[0],
                channels=region.filled, kernel=taps.shape[1:3], padding=(y_pad, x_pad))
            taps = np.pad(taps, ((0, 0), (0, 0), (0, 0), (0, fill)))
        else:  # constants: a convolution of anything with zeros
            shape = ConvShape(height=row.outputs, width=col.outputs, channels=region.word_bytes)
            taps = np.zeros((len(weights.numbers), 1, 1, region.word_bytes), np.int8)
        plan = ConvPlan(machine, ConvLayer(shape=shape, weights=taps, **layer), fold=False,
                        transpose=False)
        parts.append(_Part(plan=plan, reads=(y_range, x_range) if reads else None, top=row.first,
                           left=col.first))
    return parts


def transposed(context: Context, operator: Operator) -> list[Layer]:
    """Each convolution goes over the image as it is, and its results lie a stride apart."""
    source, target = context.source(operator), context.target(operator)
    attributes: Window = operator.attributes
    layers = []
    for part in _parts(context.machine, context.graph, operator, source):
        shape, filters = part.plan.layer.shape, len(part.plan.layer.weights)
        if part.reads is None:
            macs = 0
            fetch = loops((1, 0), (shape.width, 0), (shape.height, 0), base=source.base)
        else:
            (y, x), taps = part.reads, math.prod(shape.kernel) * source.channels
            macs = shape.out_height * shape.out_width * taps * filters
            fetch = pixels_fetch(replace(
                source.part(y[0], x[0], y[1] - y[0], x[1] - x[0]), channels=source.channels))
        layers.append(plan_layer(
            context.machine, operator, part.plan, fetch,
            target.part(part.top, part.left, shape.out_height, shape.out_width, attributes.stride),
            macs))
    return layers
