"""Softmax in fixed point, as TensorFlow Lite Micro computes it for int8."""

import math

import numpy as np
import numpy.typing as npt

from sim.golden.fixed_point import ONE, exp, multiply, reciprocal, shift_right
from sim.golden.requantize import quantize_multiplier
from sim.golden.types import Int8, Int64

__all__ = ["exponentials", "softmax"]

_DIFF_BITS, _SUM_BITS = 5, 12  # integer bits of the differences, and of the sum of exponentials


def exponentials(x: Int8, *, scale: float,
                 beta: float = 1.0) -> tuple[npt.NDArray[np.bool_], Int64, Int64]:
    """Which of int8 ``x`` count beside the largest one of the last axis, their exponentials in
    parts of ``2**31``, and the sum of these in parts of ``2**19``."""
    real = min(float(beta) * float(scale) * (1 << 31 - _DIFF_BITS), ONE)
    multiplier, exponent = quantize_multiplier(real)
    radius = math.floor(((1 << _DIFF_BITS) - 1) * (1 << 31 - _DIFF_BITS) / (1 << exponent))
    diff = x.astype(np.int64) - x.max(axis=-1, keepdims=True).astype(np.int64)
    counts = diff >= -radius
    powers = exp((np.where(counts, diff, 0) * multiplier * (1 << exponent) + (1 << 30)) >> 31,
                 _DIFF_BITS)
    total = np.where(counts, shift_right(powers, _SUM_BITS), 0).sum(axis=-1, keepdims=True)
    return counts, powers, total


def softmax(x: Int8, *, scale: float, beta: float = 1.0) -> Int8:
    """Softmax over the last axis of int8 ``x``; the result has scale 1/256 and zero point -128."""
    counts, powers, total = exponentials(x, scale=scale, beta=beta)
    headroom = 32 - np.array([int(value).bit_length() for value in total.ravel()])
    headroom = headroom.reshape(total.shape)
    inverse = reciprocal((total << headroom) - (1 << 31))
    shift = _SUM_BITS - headroom + 31 - 8
    y = multiply(inverse, powers)
    y = (y + (1 << shift - 1)) >> shift
    return np.where(counts, np.clip(y - 128, -128, 127), -128).astype(np.int8)
