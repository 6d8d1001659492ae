"""Pooling, and what moves bytes about: a pool over windows of one cell is a copy."""

import math
from dataclasses import replace

import numpy as np

from rtl.accelerator.control.descriptor import Kind
from rtl.im2col.params import MAX_KERNEL
from sim.golden.operators import mean_params
from systolith.compiler.codegen.loop_nests import MOST, loops, pixels_store
from systolith.compiler.codegen.program import Layer
from systolith.compiler.lowering import float32_tables as float32
from systolith.compiler.lowering.window_sums import sums
from systolith.compiler.tiling.conv_layers import requantisation

__all__ = ["FULL_RANGE", "MOST_CELLS", "cells_of", "clamp", "copies", "mean",
           "mean_scale", "pad", "pool", "resize", "spans"]

#: Cells of a window at the most.
MOST_CELLS = 1024

FULL_RANGE = {"zero_point": 0, "low": -128, "high": 127}


def _layer(context, operator, fetch, target, words, limits=FULL_RANGE, scale=None, bias=0,
           maximum=0):
    machine, scale = context.machine, scale or requantisation(context.graph, 1.0)
    drain_lanes = machine.drain_lanes
    return Layer(
        kind=Kind.POOL, operator=operator, weights=np.zeros((0, machine.array.cols), np.int8),
        params={"bias": np.full(drain_lanes, bias), "multiplier": np.full(drain_lanes, scale[0]),
                "shift": np.full(drain_lanes, scale[1])},
        fields={"range": limits, "fetch": fetch, "store": pixels_store(machine, target, words),
                "maximum": maximum})


def _windows(context, operator, source, target, window, stride, **more):
    """A layer of windows of ``source`` that lie wholly within the image."""
    fetch = loops((window[1], source.pixel_step), (window[0], source.line_step),
                  (source.pixel_words, 1), (target.width, stride[1] * source.pixel_step),
                  (target.height, stride[0] * source.line_step), base=source.base)
    return _layer(context, operator, fetch, target, source.pixel_words, **more)


def _spans(size, kernel, stride, padding, outputs):
    """Outputs along an axis in runs that see as many cells: (first, count, first cell, cells)."""
    runs = []
    for index in range(outputs):
        begin = index * stride - padding
        low, high = max(begin, 0), min(begin + kernel, size)
        whole = high - low == kernel
        if whole and runs and runs[-1][3] == kernel:
            runs[-1][1] += 1
        else:
            runs.append([index, 1, low, high - low])
    return runs


def spans(graph, operator):
    """:func:`_spans` of lines and of pixels of a pool."""
    x, y, attributes = graph.operand(operator, 0), graph.result(operator), operator.attributes
    return [_spans(size, kernel, stride, padding[0], outputs) for size, kernel, stride, padding,
            outputs in zip(x.shape[1:3], attributes.kernel, attributes.stride,
                           attributes.padding, y.shape[1:3], strict=True)]


def pool(context, operator):
    """Means or maxima. Windows that the border cuts are layers of their own."""
    graph, attributes = context.graph, operator.attributes
    source, target = context.source(operator), context.target(operator)
    low, high = graph.clamp(operator)
    rows, cols = spans(graph, operator)
    if (count := context.count(operator)) > 1:
        (y, lines, top, tall), = rows
        rows = [(y, lines * count, top, tall)]
    layers = []
    for y, lines, top, tall in rows:
        for x, pixels, left, wide in cols:
            limits = {"zero_point": 0, "low": low, "high": high}
            region = (source.part(top, left, source.height, source.width),
                      target.part(y, x, lines, pixels), (tall, wide), attributes.stride)
            if operator.kind == "MAX_POOL_2D":
                layers.append(_windows(context, operator, *region, limits=limits, maximum=1))
                continue
            bias, scale = 0, mean_scale(tall * wide)
            if graph.rounding == "float32":
                bias, factor, limits["zero_point"] = float32.average(graph, operator, tall * wide)
                scale = requantisation(graph, factor)
            layers += _sums(context, operator, *region, limits=limits, scale=scale, bias=bias)
    return layers


def mean_scale(cells):
    """``(multiplier, shift)`` that divide a sum of so many int8, ties away from zero.

    Ties are rounded upwards; the multiplier is more than ``1 / cells``, by ``2^-31`` at the most,
    so that each tie lies past that on the proper side: a sum by ``128 cells / 2^31`` at the most,
    less than the ``1 / (2 cells)`` to another tie.
    """
    return (1 << 31) // cells + 1, 0


def _sums(context, operator, *region, **more):
    """Layers of sums: by the unit for windows, or by what does without."""
    layers = None if context.pooling else sums(context, operator, *region, **more)
    return layers or [_windows(context, operator, *region, **more)]


def cells_of(graph, operator):
    """How many cells of the image windows of a pool see: all numbers that occur."""
    rows, cols = spans(graph, operator)
    return {tall * wide for *_, tall in rows for *_, wide in cols}


def mean(context, operator):
    """Means of whole images: sums, which the requantizer divides."""
    graph, source = context.graph, context.source(operator)
    x, y = graph.operand(operator, 0), graph.result(operator)
    cells = math.prod(x.size)
    source, window = _compact(source, x.size)
    limits = {**FULL_RANGE, "zero_point": y.zero_point}
    if graph.rounding == "float32":
        limits["low"], limits["high"] = graph.clamp(operator)
        scale = requantisation(graph, float32.mean_factor(graph, operator, cells))
    else:
        scale = mean_params(cells, x.scale / y.scale)
    return _sums(context, operator, source, context.target(operator), window, window,
                 bias=-x.zero_point * cells, limits=limits, scale=scale)


def _compact(source, window):
    """Images whose ``window`` is all of them with sides that a kernel can have, if there are
    such: a mean does not depend on the order of pixels."""
    cells = math.prod(window)
    sides = [n for n in range(1, MAX_KERNEL + 1) if cells % n == 0 and cells // n <= MAX_KERNEL]
    if max(window) <= MAX_KERNEL or not sides or not source.whole:
        return source, window
    width = sides[len(sides) // 2]
    return replace(source, height=source.height * source.width // width, width=width,
                   line_step=0), (cells // width, width)


def copies(context, operator, source, target, limits=FULL_RANGE, factor=(1, 1)):
    """Layers that write each pixel of ``source`` to ``target``, ``factor`` times along each axis;
    the first channel of ``source`` begins a word."""
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


def resize(context, operator):
    """Each line and pixel as often as the factor says."""
    return copies(context, operator, context.source(operator), context.target(operator),
                  factor=operator.attributes.factor)


def clamp(context, operator, low, high):
    """A copy of numbers between ``low`` and ``high``."""
    return copies(context, operator, context.source(operator), context.target(operator),
                  {"zero_point": 0, "low": low, "high": high})


def pad(context, operator):
    """A fill of the whole result, then a copy of the image into it."""
    source, target = context.source(operator), context.target(operator)
    zero = context.graph.result(operator).zero_point
    pads = operator.attributes.padding
    if len(pads) > 4 and any(map(any, pads[:-2])):
        raise ValueError(f"operator {operator.index} (PAD): it pads other than the last two of "
                         f"{len(pads)} axes; of four axes all but the first can be padded")
    (top, _), (left, _), (before, _) = (((0, 0),) * 2 + tuple(pads[1:]))[-3:]
    layers = []
    if (target.height, target.width, target.channels) != (source.height, source.width,
                                                          source.channels):
        idle = loops((1, 0), (1, 0), (target.pixel_words, 0), (target.width, 0),
                     (target.height, 0), base=source.base)
        layers.append(_layer(context, operator, idle, target, target.pixel_words,
                             {"zero_point": 0, "low": zero, "high": zero}))
    inner = target.part(top, left, source.height, source.width)
    return layers + copies(context, operator, source, inner.slice(before, source.channels))
