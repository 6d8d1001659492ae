"""Convolutions with random constants."""

import numpy as np

from rtl.im2col import ConvShape
from systolith.compiler.tiling.conv_layer import ConvLayer

__all__ = ["image", "random_layer"]


def image(height, width, channels, kernel=(1, 1), pad=0, **changes):
    return ConvShape(height=height, width=width, channels=channels, kernel=kernel,
                     **({"padding": ((pad, pad), (pad, pad))} | changes))


def random_layer(rng, shape, filters):
    """Constants for ``shape``, with outputs from all over the range of int8."""
    weights = rng.integers(-128, 128, (filters, *shape.kernel, shape.channels // shape.groups))
    weights[rng.random(weights.shape) < 0.1] = -128
    spread = 5000 * np.sqrt(weights[0].size) + 1  # of the accumulators, about
    low, high = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.5 else (-128, 127)
    return ConvLayer(
        shape=shape, weights=weights.astype(np.int8), bias=rng.integers(-spread, spread, filters),
        multiplier=rng.integers(1 << 30, 1 << 31, filters),
        shift=np.clip(np.rint(np.log2(spread / 60)) + rng.integers(-1, 2, filters), 0, 31).astype(
            int),
        input_zero_point=int(rng.integers(-128, 128)), zero_point=int(rng.integers(-128, 128)),
        low=low, high=high)
