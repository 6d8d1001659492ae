"""What the arithmetic can hold, and what it takes for granted: complaints, or "" where all is well.

Importers ask before there is a graph, and :func:`~systolith.graph.verify.verify` of every graph.
"""

from collections.abc import Callable, Iterable

import numpy as np

from sim.golden.operators import BOUNDS
from sim.golden.requantize import channel_params
from systolith.graph.ir import Tensor

__all__ = ["of_bounds", "of_factor", "of_layer", "of_parts", "of_probabilities", "of_same",
           "of_sums"]

#: What an accumulator counts to.
MOST = 1 << 31


def of_factor(role: str, factor: float) -> str:
    """Of a ``factor`` by which a requantisation multiplies."""
    try:
        channel_params(factor)
    except (ValueError, OverflowError):
        return f"{role} is rescaled by {factor}, but only factors below 8 are possible"
    return ""


def of_bounds(activation: str, scale: float) -> str:
    """Of the bounds of a fused ``activation`` in the ``scale`` of the result."""
    if activation not in BOUNDS:
        return f"the fused activation {activation} is not one of {', '.join(BOUNDS)}"
    if any(bound is not None and abs(bound) / scale >= MOST - 256 for bound in BOUNDS[activation]):
        return f"the output's scale {scale} is too small for {activation}"
    return ""


def of_parts(y: Tensor, parts: int, zero_point: int) -> str:
    """Of a result that its function gives in so many ``parts`` of 1: from -128 on, or around 0."""
    if (y.scale, y.zero_point) != (1 / parts, zero_point):
        return (f"the output has the scale {y.scale} and the zero point {y.zero_point} instead of "
                f"1/{parts} and {zero_point}")
    return ""


def of_probabilities(y: Tensor) -> str:
    """Of numbers of 0 to 255 parts of 256."""
    return of_parts(y, 256, -128)


def of_same(x: Tensor, y: Tensor) -> str:
    """Of a result whose int8 numbers mean something else than those of the input."""
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        return (f"input and output differ in scale or zero point: {x.scale}, {x.zero_point} and "
                f"{y.scale}, {y.zero_point}")
    return ""


def of_sums(cells: int, zero_point: int) -> str:
    """Of the sum of ``cells`` pixels of that ``zero_point``."""
    if cells * max(zero_point + 128, 127 - zero_point) >= MOST:
        return f"the sums of {cells} pixels can exceed 32 bits"
    return ""


def of_layer(x: Tensor, weights: Tensor, axis: int, bias: Tensor | None,
             factors: Callable[[], Iterable[float]]) -> str:
    """Of a layer whose output channels are ``axis`` of its ``weights``, and are rescaled by
    ``factors()``."""
    channels = weights.shape[axis]
    if weights.zero_point != 0:
        return "the weights have zero points other than 0"
    if len(weights.scales) not in {1, channels} or (
            len(weights.scales) > 1 and weights.axis != axis):
        return (f"the weights have {len(weights.scales)} scales along axis {weights.axis} instead "
                f"of 1 or {channels} along axis {axis}")
    magnitudes = np.abs(np.moveaxis(weights.numbers, axis, 0).astype(np.int64))
    reach = magnitudes.reshape(channels, -1).sum(axis=1) * max(x.zero_point + 128,
                                                               127 - x.zero_point)
    if bias is not None:
        if bias.shape != (channels,):
            return f"the biases have the shape {bias.shape} instead of {(channels,)}"
        if bias.zero_point != 0:
            return f"the biases have the zero point {bias.zero_point} instead of 0"
        reach = reach + np.abs(bias.numbers.astype(np.int64))
    if reach.max() >= MOST:
        return f"the sums of channel {reach.argmax()} can exceed 32 bits"
    return next((told for channel, factor in enumerate(factors())
                 if (told := of_factor(f"channel {channel}", factor))), "")
