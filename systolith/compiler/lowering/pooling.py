"""Pooling, and what moves bytes about: a pool over windows of one cell is a copy."""

import math
from dataclasses import replace

import numpy as np

from rtl.accelerator.control.descriptor import Kind
from rtl.im2col.params import MAX_KERNEL
from sim.golden.operators import mean_params
from sim.golden.types import Pair
from systolith.compiler.codegen.loop_nests import MOST, Fields, loops, pixels_store, store_loops
from systolith.compiler.codegen.program import Layer
from systolith.compiler.layout.region import Region
from systolith.compiler.lowering import float32_tables as float32
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.window_sums import Windows, sums
from systolith.compiler.tiling.conv_layer import Limits
from systolith.compiler.tiling.conv_layers import requantisation
from systolith.graph.attributes import Mean, Pool, Resize
from systolith.graph.ir import Graph, Operator

__all__ = ["FULL_RANGE", "MOST_CELLS", "Steps", "cells_of", "clamp", "copies", "fill", "mean",
           "mean_scale", "pool", "resize", "scatter", "spans"]

#: Cells of a window at the most.
MOST_CELLS = 1024

FULL_RANGE: Limits = {"zero_point": 0, "low": -128, "high": 127}

#: Bytes from line to line, from pixel to pixel, and from channel to channel.
Steps = tuple[int, int, int]

#: Outputs along an axis that see as many cells: (first, count, first cell, cells).
Span = tuple[int, int, int, int]


def _layer(context: Context, operator: Operator, fetch: Fields, target: Region, words: int,
           limits: Limits = FULL_RANGE, scale: Pair | None = None, bias: int = 0,
           maximum: int = 0) -> Layer:
    machine, scale = context.machine, scale or requantisation(context.graph, 1.0)
    drain_lanes = machine.drain_lanes
    return Layer(
        kind=Kind.POOL, operator=operator, weights=np.zeros((0, machine.array.cols), np.int8),
        params={"bias": np.full(drain_lanes, bias), "multiplier": np.full(drain_lanes, scale[0]),
                "shift": np.full(drain_lanes, scale[1])},
        fields={"range": limits, "fetch": fetch, "store": pixels_store(machine, target, words),
                "maximum": maximum})


def _windows(context: Context, operator: Operator, windows: Windows, *, limits: Limits,
             scale: Pair | None = None, bias: int = 0, maximum: int = 0) -> Layer:
    """A layer of sums, or maxima, of ``windows``."""
    source, target, size, stride = windows.source, windows.target, windows.size, windows.stride
    fetch = loops((size[1], source.pixel_step), (size[0], source.line_step),
                  (source.pixel_words, 1), (target.width, stride[1] * source.pixel_step),
                  (target.height, stride[0] * source.line_step), base=source.base)
    return _layer(context, operator, fetch, target, source.pixel_words, limits, scale, bias,
                  maximum)


def _spans(size: int, kernel: int, stride: int, padding: int, outputs: int) -> list[Span]:
    runs: list[Span] = []
    for index in range(outputs):
        begin = index * stride - padding
        low, high = max(begin, 0), min(begin + kernel, size)
        whole = high - low == kernel
        if whole and runs and runs[-1][3] == kernel:
            first, count, cell, _ = runs[-1]
            runs[-1] = first, count + 1, cell, kernel
        else:
            runs.append((index, 1, low, high - low))
    return runs


def spans(graph: Graph, operator: Operator) -> tuple[list[Span], list[Span]]:
    """Of lines and of pixels of a pool."""
    attributes: Pool = operator.attributes
    rows, cols = (
        _spans(size, kernel, stride, padding, outputs)
        for size, kernel, stride, (padding, _), outputs in zip(
            graph.activation(operator).size, attributes.kernel, attributes.stride,
            attributes.padding, graph.result(operator).size, strict=True))
    return rows, cols


def pool(context: Context, operator: Operator) -> list[Layer]:
    """Means or maxima. Windows that the border cuts are layers of their own."""
    graph = context.graph
    attributes: Pool = operator.attributes
    source, target = context.source(operator), context.target(operator)
    low, high = graph.clamp(operator)
    rows, cols = spans(graph, operator)
    if (count := context.count(operator)) > 1:
        (y, lines, top, tall), = rows
        rows = [(y, lines * count, top, tall)]
    layers: list[Layer] = []
    for y, lines, top, tall in rows:
        for x, pixels, left, wide in cols:
            limits: Limits = {"zero_point": 0, "low": low, "high": high}
            windows = Windows(source=source.part(top, left, source.height, source.width),
                              target=target.part(y, x, lines, pixels), size=(tall, wide),
                              stride=attributes.stride)
            if operator.kind == "MAX_POOL_2D":
                layers.append(_windows(context, operator, windows, limits=limits, maximum=1))
                continue
            bias, scale = 0, mean_scale(tall * wide)
            if graph.rounding == "float32":
                found = float32.average(graph, operator, tall * wide)
                assert found is not None, f"{operator} runs on the host"
                bias, factor, limits["zero_point"] = found
                scale = requantisation(graph, factor)
            layers += _sums(context, operator, windows, limits=limits, scale=scale, bias=bias)
    return layers


def mean_scale(cells: int) -> Pair:
    """``(multiplier, shift)`` that divide a sum of so many int8, ties away from zero.

    Ties are rounded upwards; the multiplier is more than ``1 / cells``, by ``2^-31`` at the most,
    so that each tie lies past that on the proper side: a sum by ``128 cells / 2^31`` at the most,
    less than the ``1 / (2 cells)`` to another tie.
    """
    return (1 << 31) // cells + 1, 0


def _sums(context: Context, operator: Operator, windows: Windows, *, limits: Limits, scale: Pair,
          bias: int) -> list[Layer]:
    """Layers of sums: by the unit for windows, or by what does without."""
    layers = None
    if not context.pooling:
        layers = sums(context, operator, windows, limits=limits, scale=scale, bias=bias)
    return layers or [_windows(context, operator, windows, limits=limits, scale=scale, bias=bias)]


def cells_of(graph: Graph, operator: Operator) -> set[int]:
    """How many cells of the image windows of a pool see: all numbers that occur."""
    rows, cols = spans(graph, operator)
    return {tall * wide for *_, tall in rows for *_, wide in cols}


def mean(context: Context, operator: Operator) -> list[Layer]:
    """Means of whole images, of lines, or of columns: sums, which the requantizer divides."""
    graph, source = context.graph, context.source(operator)
    x, y, target = graph.activation(operator), graph.result(operator), context.target(operator)
    attributes: Mean = operator.attributes
    if attributes.axes is None:
        source, window = _compact(source, x.size)
    elif len(x.shape) == 4 and attributes.axes == (1,):
        window = x.size[0], 1
    else:  # a pixel for each line
        window, step = (1, x.size[1]), target.pixel_step if target.height == 1 else target.line_step
        target = replace(target, height=source.height, width=1, line_step=step)
    cells = math.prod(window)
    limits: Limits = {**FULL_RANGE, "zero_point": y.zero_point}
    if graph.rounding == "float32":
        limits["low"], limits["high"] = graph.clamp(operator)
        scale = requantisation(graph, float32.mean_factor(graph, operator, cells))
    else:
        scale = mean_params(cells, x.scale / y.scale)
    windows = Windows(source=source, target=target, size=window, stride=window)
    return _sums(context, operator, windows, limits=limits, scale=scale,
                 bias=-x.zero_point * cells)


def _compact(source: Region, window: Pair) -> tuple[Region, Pair]:
    """Images whose ``window`` is all of them with sides that a kernel can have, if there are
    such: a mean does not depend on the order of pixels."""
    cells = math.prod(window)
    sides = [n for n in range(1, MAX_KERNEL + 1) if cells % n == 0 and cells // n <= MAX_KERNEL]
    if max(window) <= MAX_KERNEL or not sides or not source.whole:
        return source, window
    width = sides[len(sides) // 2]
    return replace(source, height=source.height * source.width // width, width=width,
                   line_step=0), (cells // width, width)


def copies(context: Context, operator: Operator, source: Region, target: Region,
           limits: Limits = FULL_RANGE, factor: Pair = (1, 1)) -> list[Layer]:
    """Layers that write each pixel of ``source`` to ``target``, ``factor`` times along each axis;
    the first channel of ``source`` begins a word. Without a unit for windows they are convolutions
    of one tap."""
    if not context.pooling:
        found = [_one_tap(context, operator, source,
                          target.part(line, pixel, source.height, source.width, factor), limits)
                 for line in range(factor[0]) for pixel in range(factor[1])]
        if all(found):
            return [layer for layers in found for layer in layers]
    if factor[1] == 1:
        return [_layer(context, operator,
                       loops((1, 0), (1, 0), (source.pixel_words, 1),
                             (source.width, source.pixel_step), (source.height, source.line_step),
                             base=source.base),
                       target.part(line, 0, source.height, source.width, (factor[0], 1)),
                       source.pixel_words, limits) for line in range(factor[0])]
    pixels = source.height * source.width
    if source.whole and pixels <= MOST:
        return [_layer(context, operator,
                       loops((1, 0), (1, 0), (source.pixel_words, 1), (factor[1], 0),
                             (pixels, source.pixel_step), base=source.base),
                       target.part(line, 0, source.height, target.width, (factor[0], 1)),
                       source.pixel_words, limits) for line in range(factor[0])]
    return [layer for pixel in range(factor[1]) for layer in copies(
        context, operator, source, target.part(0, pixel, target.height, source.width,
                                               (1, factor[1])), limits, (factor[0], 1))]


def scatter(context: Context, operator: Operator, source: Region, target: Region,
            steps: Steps) -> Layer:
    """A layer that writes each byte of ``source`` to one that lies ``steps`` from those of the line
    before, of the pixel before and of the channel before, from the first one of ``target`` on."""
    machine, (line, pixel, channel) = context.machine, steps
    lanes = machine.drain_lanes
    beats = source.pixel_words * source.word_bytes // lanes
    together = channel == 1 and not any(each % lanes for each in (target.byte, line, pixel))
    fetch = loops((1, 0), (1, 0), (source.pixel_words, 1), (source.width, source.pixel_step),
                  (source.height, source.line_step), base=source.base)
    walk = store_loops(machine, (1, 0), (1, 0), (beats, lanes * channel), (source.width, pixel),
                       (source.height, line), base=target.byte)
    layer = _layer(context, operator, fetch, target, source.pixel_words)
    store = {"walk": walk, "limit": source.channels, "lane_step": 0 if together else channel}
    return replace(layer, fields=layer.fields | {"store": store},
                   moved=source.height * source.width * source.channels)


def _one_tap(context: Context, operator: Operator, source: Region, target: Region,
             limits: Limits) -> list[Layer]:
    """A copy by convolutions, or no layers if the build cannot."""
    windows = Windows(source=source, target=target, size=(1, 1), stride=(1, 1))
    return sums(context, operator, windows, limits=limits,
                scale=requantisation(context.graph, 1.0)) or []


def fill(context: Context, operator: Operator, target: Region, source: Region,
          value: int) -> list[Layer]:
    """All of ``target`` becomes ``value``, whatever is read: a word of ``source`` again and again,
    or, without a unit for windows, what lay there."""
    limits: Limits = {"zero_point": 0, "low": value, "high": value}
    if not context.pooling and (found := _one_tap(context, operator, target, target, limits)):
        return found
    idle = loops((1, 0), (1, 0), (target.pixel_words, 0), (target.width, 0), (target.height, 0),
                 base=source.base)
    return [_layer(context, operator, idle, target, target.pixel_words, limits)]


def resize(context: Context, operator: Operator) -> list[Layer]:
    """Each line and pixel as often as the factor says."""
    attributes: Resize = operator.attributes
    return copies(context, operator, context.source(operator), context.target(operator),
                  factor=attributes.factor)


def clamp(context: Context, operator: Operator, low: int, high: int) -> list[Layer]:
    """A copy of numbers between ``low`` and ``high``."""
    limits: Limits = {"zero_point": 0, "low": low, "high": high}
    return [layer for source, target in zip(
        context.source(operator).pieces(MOST - 1), context.target(operator).pieces(MOST - 1),
        strict=True) for layer in copies(context, operator, source, target, limits)]
