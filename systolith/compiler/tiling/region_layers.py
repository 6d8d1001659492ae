"""Convolutions over regions of memory: layers whose pixels fill whole words, and their plans."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rtl.im2col import ConvShape
from rtl.im2col.params import MAX_CHANNELS, MAX_KERNEL
from sim.golden.types import Int8
from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.region import Region
from systolith.compiler.partition import CannotRun
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_layers import conv_layer, layer_constants
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.graph.attributes import Pair
from systolith.graph.ir import Graph, Operator

__all__ = ["MOST_WORD_BYTES", "packed_words", "plan_convolution", "spread", "widened"]

#: Bytes of a word of any build divide it.
MOST_WORD_BYTES = 64

#: Filters of a layer at the most: words that a store counts, and no more tiles than there can be.
MOST_FILTERS = MOST - MOST_WORD_BYTES

Scalar = TypeVar("Scalar", bound=np.generic)


def plan_convolution(machine: Machine, graph: Graph, operator: Operator, region: Region,
                     target: Region, *, packed: bool = False, compact: bool = False,
                     images: int = 1) -> tuple[ConvPlan, ...]:
    """The :class:`ConvPlan` of a convolution from ``region`` to ``target``; of a fully connected
    layer of many filters, one for every :data:`MOST_FILTERS` of them at the most.

    The input's channels are those of ``region``, with weights of 0 for those that only fill up a
    word; unless it is ``packed``, in the order in which the unit takes it, which repeats no line if
    it is ``compact``. ``images`` that follow each other are taken for one.
    """
    try:
        connected = operator.kind == "FULLY_CONNECTED"
        if connected:
            layer = _connected(graph, operator, region, target)
        else:
            layer = conv_layer(graph, operator, 1)
            if not packed:
                layer = _thin(widened(layer, region))
        shape = replace(layer.shape, height=layer.shape.height * images)
        parts = _parts(layer, target) if connected else [layer]
        return tuple(ConvPlan(machine, replace(part, shape=shape), fold=packed and not compact,
                              transpose=not connected) for part in parts)
    except ValueError as error:
        raise CannotRun(operator, str(error)) from error


def _connected(graph: Graph, operator: Operator, region: Region, target: Region) -> ConvLayer:
    """A fully connected layer as one window that covers an image, or as a 1x1 convolution.

    If its results are channels of several pixels, it has filters for all bytes of them.
    """
    weights = graph.weights(operator).numbers
    constants = layer_constants(graph, operator)
    if len(weights) > target.channels:
        weights = _filled(weights, target)
        constants |= {name: _filled(constants[name], target)
                      for name in ("bias", "multiplier", "shift")}
    if weights.shape[1] == region.height * region.width * region.channels:
        pixels = weights.reshape(len(weights), -1, region.channels)
        pixels = np.pad(pixels, ((0, 0), (0, 0), _around(region)))
        return spread(pixels.reshape(len(weights), -1), constants)
    if weights.shape[1] == region.channels:
        shape = ConvShape(height=region.height, width=region.width, channels=region.channels)
        return widened(ConvLayer(shape=shape, weights=weights[:, None, None], **constants), region)
    raise ValueError(f"it takes {weights.shape[1]} numbers at a time of an image of "
                     f"{region.height}x{region.width}x{region.channels}; all of them, or the "
                     "channels of a pixel, are possible")


def _parts(layer: ConvLayer, target: Region) -> list[ConvLayer]:
    """``layer`` by filters that a descriptor can count: whole words or, of ``target`` of several
    pixels, whole pixels."""
    filters = len(layer.weights)
    size = MOST_FILTERS
    if filters > target.channels:
        size -= size % target.filled
    if filters <= size or not size:
        return [layer]
    constants = {name: getattr(layer, name) for name in ("weights", "bias", "multiplier", "shift")}
    return [replace(layer, **{name: value[first:first + size]
                              for name, value in constants.items()})
            for first in range(0, filters, size)]


def _filled(filters: npt.NDArray[Scalar], target: Region) -> npt.NDArray[Scalar]:
    """What there is for each of the ``filters``, and zeros for what fills up words of pixels."""
    pixels = filters.reshape(-1, target.channels, *filters.shape[1:])
    fill = ((0, 0), (0, target.filled - target.channels), *((0, 0),) * (filters.ndim - 1))
    return np.pad(pixels, fill).reshape(-1, *filters.shape[1:])


def packed_words(plan: ConvPlan) -> int:
    """Words of what a ``plan`` takes, in the order of the unit."""
    return plan.shape.height * plan.shape.line_words(plan.machine.im2col.word_bytes)


def spread(weights: Int8, constants: Mapping[str, Any], lines: int = 1) -> ConvLayer:
    """A layer with ``weights`` (cout, taps) over ``lines`` windows, of a line each or, where that
    is too long for one, of several lines of whole words."""
    taps = weights.shape[1]
    for height in range(1, MAX_KERNEL + 1):
        line, rest = divmod(taps, height)
        if rest or (height > 1 and line % MOST_WORD_BYTES):
            continue
        for width in range(1, MAX_KERNEL + 1):
            if line % width == 0 and line // width <= MAX_CHANNELS:
                shape = ConvShape(height=lines * height, width=width, channels=line // width,
                                  kernel=(height, width), stride=(height, 1))
                return ConvLayer(shape=shape, weights=weights.reshape(
                    len(weights), height, width, -1), **constants)
    raise ValueError(f"windows of {taps} bytes are not of 1 to {MAX_KERNEL} lines of 1 to "
                     f"{MAX_KERNEL} equal parts of {MAX_CHANNELS} at the most")


def widened(layer: ConvLayer, region: Region) -> ConvLayer:
    """``layer`` over the words of ``region``; in groups only if that begins with one."""
    more = _around(region)
    if layer.shape.groups > 1:
        return replace(layer, shape=replace(layer.shape, fill=sum(more)))
    return replace(layer, shape=replace(layer.shape, channels=region.filled), weights=np.pad(
        layer.weights, ((0, 0), (0, 0), (0, 0), more)))


def _around(region: Region) -> Pair:
    """Channels that fill up the words of a pixel, before and after those of ``region``."""
    return region.offset, region.filled - region.channels - region.offset


def _thin(layer: ConvLayer) -> ConvLayer:
    """A kernel of one pixel over the pixels that it reads: the others are not fetched."""
    shape = layer.shape
    if shape.groups > 1 or shape.kernel != (1, 1) or shape.padding != ((0, 0), (0, 0)):
        return layer
    return replace(layer, shape=replace(shape, height=shape.out_height, width=shape.out_width,
                                        stride=(1, 1)))
