"""Convolutions over regions of memory: layers whose pixels fill whole words, and their plans."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rtl.im2col import ConvShape
from rtl.im2col.params import MAX_CHANNELS, MAX_KERNEL
from sim.golden.types import Int8
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.region import Region
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_layers import conv_layer, layer_constants
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.graph.ir import Graph, Operator

__all__ = ["packed_words", "plan_convolution", "spread", "widened"]

Scalar = TypeVar("Scalar", bound=np.generic)


def plan_convolution(machine: Machine, graph: Graph, operator: Operator, region: Region,
                     target: Region, *, packed: bool = False, compact: bool = False,
                     images: int = 1) -> ConvPlan:
    """The :class:`ConvPlan` of a convolution from ``region`` to ``target``.

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
        return ConvPlan(machine, replace(layer, shape=shape), fold=packed and not compact,
                        transpose=not connected)
    except ValueError as error:
        raise ValueError(f"{operator}: {error}") from error


def _connected(graph: Graph, operator: Operator, region: Region, target: Region) -> ConvLayer:
    """A fully connected layer as one window that covers an image, or as a 1x1 convolution.

    If its results are channels of several pixels, it has filters for all bytes of them.
    """
    weights = graph.weights(operator).numbers
    fill, constants = region.filled - region.channels, layer_constants(graph, operator)
    if len(weights) > target.channels:
        weights = _filled(weights, target)
        constants |= {name: _filled(constants[name], target)
                      for name in ("bias", "multiplier", "shift")}
    if weights.shape[1] == region.height * region.width * region.channels:
        pixels = weights.reshape(len(weights), -1, region.channels)
        pixels = np.pad(pixels, ((0, 0), (0, 0), (0, fill)))
        return spread(pixels.reshape(len(weights), -1), constants)
    if weights.shape[1] == region.channels:
        shape = ConvShape(height=region.height, width=region.width, channels=region.channels)
        return widened(ConvLayer(shape=shape, weights=weights[:, None, None], **constants), region)
    raise ValueError(f"it takes {weights.shape[1]} numbers at a time of an image of "
                     f"{region.height}x{region.width}x{region.channels}; all of them, or the "
                     "channels of a pixel, are possible")


def _filled(filters: npt.NDArray[Scalar], target: Region) -> npt.NDArray[Scalar]:
    """What there is for each of the ``filters``, and zeros for what fills up words of pixels."""
    pixels = filters.reshape(-1, target.channels, *filters.shape[1:])
    fill = ((0, 0), (0, target.filled - target.channels), *((0, 0),) * (filters.ndim - 1))
    return np.pad(pixels, fill).reshape(-1, *filters.shape[1:])


def packed_words(plan: ConvPlan) -> int:
    """Words of what a ``plan`` takes, in the order of the unit."""
    return plan.shape.height * plan.shape.line_words(plan.machine.im2col.word_bytes)


def spread(weights: Int8, constants: Mapping[str, Any], lines: int = 1) -> ConvLayer:
    """A layer with ``weights`` (cout, taps) over ``lines`` lines, each of them a window."""
    taps = weights.shape[1]
    width = next((n for n in range(1, MAX_KERNEL + 1)
                  if taps % n == 0 and taps // n <= MAX_CHANNELS), None)
    if width is None:
        raise ValueError(f"windows of {taps} bytes are not of 1 to {MAX_KERNEL} equal parts of "
                         f"{MAX_CHANNELS} at the most")
    shape = ConvShape(height=lines, width=width, channels=taps // width, kernel=(1, width))
    return ConvLayer(shape=shape, weights=weights.reshape(len(weights), 1, width, -1), **constants)


def widened(layer: ConvLayer, region: Region) -> ConvLayer:
    """``layer`` over the words of ``region``."""
    more = region.filled - region.channels
    if layer.shape.groups > 1:
        return replace(layer, shape=replace(layer.shape, fill=more))
    return replace(layer, shape=replace(layer.shape, channels=region.filled), weights=np.pad(
        layer.weights, ((0, 0), (0, 0), (0, 0), (0, more))))


def _thin(layer: ConvLayer) -> ConvLayer:
    """A kernel of one pixel over the pixels that it reads: the others are not fetched."""
    shape = layer.shape
    if shape.groups > 1 or shape.kernel != (1, 1) or shape.padding != ((0, 0), (0, 0)):
        return layer
    return replace(layer, shape=replace(shape, height=shape.out_height, width=shape.out_width,
                                        stride=(1, 1)))
