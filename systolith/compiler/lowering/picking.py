"""Copies of pixels whose channels begin anywhere in a word."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtl.im2col import ConvShape
from systolith.compiler.codegen.loop_nests import MOST, pixels_fetch
from systolith.compiler.codegen.program import Layer
from systolith.compiler.layout.region import Region
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.lowering.pooling import copies
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_layers import requantisation
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.graph.ir import Graph, Operator

__all__ = ["copy_of", "identity"]

#: Channels of a convolution that picks them, at the most.
MOST_PICKED = 512


def identity(graph: Graph, channels: int) -> dict[str, Any]:
    """Constants of a layer whose sums are its results."""
    zeros = np.zeros(channels, np.int64)
    multiplier, shift = requantisation(graph, 1.0)
    return {"bias": zeros, "multiplier": zeros + multiplier, "shift": zeros + shift,
            "input_zero_point": 0, "zero_point": 0}


def copy_of(context: Context, operator: Operator, source: Region, target: Region,
            channels: Sequence[int] | None = None) -> list[Layer]:
    """Layers that write each pixel of ``source``, or some of its ``channels`` in any order, to that
    of ``target``.

    Where channels do not follow each other from the beginning of a word on, convolutions of one
    pixel, whose weights are 1, pick them.
    """
    layers = [layer for part, goes in _pieces(source, target)
              for layer in _copy(context, operator, part, goes, channels)]
    first, *others = layers
    return [replace(first, moved=target.height * target.width * target.channels), *others]


def _pieces(source: Region, target: Region) -> Iterator[tuple[Region, Region]]:
    """Both by as many lines and pixels as a descriptor counts."""
    size = MOST - 1
    for top in range(0, source.height, size):
        for left in range(0, source.width, size):
            part = top, left, min(size, source.height - top), min(size, source.width - left)
            yield source.part(*part), target.part(*part)


def _copy(context: Context, operator: Operator, source: Region, target: Region,
          channels: Sequence[int] | None) -> list[Layer]:
    if channels is None and not source.offset:
        return copies(context, operator, source, target)
    picked = np.arange(source.channels) if channels is None else np.array(channels)
    return [_pick(context, operator, source, picked[first:first + MOST_PICKED],
                  target.slice(first, min(MOST_PICKED, len(picked) - first)))
            for first in range(0, len(picked), MOST_PICKED)]


def _pick(context: Context, operator: Operator, source: Region, channels: npt.NDArray[np.integer],
          target: Region) -> Layer:
    """A layer for as many ``channels``."""
    first = int(channels.min())
    source = source.slice(first, int(channels.max()) - first + 1)
    weights = np.zeros((len(channels), 1, 1, source.filled), np.int8)
    weights[np.arange(len(channels)), 0, 0, source.offset + channels - first] = 1
    layer = ConvLayer(shape=ConvShape(height=source.height, width=source.width,
                                      channels=source.filled),
                      weights=weights, **identity(context.graph, len(channels)))
    plan = ConvPlan(context.machine, layer, fold=False, transpose=False)
    return plan_layer(context.machine, operator, plan, pixels_fetch(source), target, 0)
