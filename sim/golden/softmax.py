"""Softmax in fixed point, as TensorFlow Lite Micro computes it for int8.

Numbers are int32 with a given count of integer bits ``i``, so ``31 - i`` of fraction: "Qi".
"""

import math

import numpy as np

from sim.golden.requantize import quantize_multiplier

__all__ = ["softmax"]

_MAX, _MIN = (1 << 31) - 1, -1 << 31
_DIFF_BITS, _SUM_BITS = 5, 12  # integer bits of the differences, and of the sum of exponentials


def _fixed(real, integer_bits=0):
    return min(math.floor(real * (1 << 31 - integer_bits) + 0.5), _MAX)


def _multiply(a, b):
    """Product, with i + j integer bits, of two numbers with i and with j."""
    return np.minimum((a * b + (1 << 30)) >> 31, _MAX)


def _shift_right(x, bits):
    """``x / 2 ** bits``, ties away from zero."""
    return (x + (1 << bits - 1) - (x < 0)) >> bits


def _shift_left(x, bits):
    return np.clip(x << bits, _MIN, _MAX)


def _exp_small(a):
    """exp(a) for Q0 ``a`` within [-1/4, 0): a Taylor series about -1/8."""
    x = a + _fixed(1 / 8)
    x2 = _multiply(x, x)
    x3, x4 = _multiply(x2, x), _multiply(x2, x2)
    thirds = _multiply(_shift_right(x4, 2) + x3, _fixed(1 / 3)) + x2
    constant = _fixed(math.exp(-1 / 8))
    return constant + _multiply(constant, x + _shift_right(thirds, 1))


def _exp(a):
    """exp(a) as Q0 for ``a`` <= 0 with ``_DIFF_BITS`` integer bits."""
    fraction = 31 - _DIFF_BITS
    quarter = 1 << fraction - 2
    small = (a & quarter - 1) - quarter
    result = _exp_small(_shift_left(small, _DIFF_BITS))
    remainder = small - a
    for exponent in range(-2, _DIFF_BITS):
        factor = _multiply(result, _fixed(math.exp(-(2.0 ** exponent))))
        result = np.where(remainder & 1 << fraction + exponent, factor, result)
    return np.where(a == 0, _MAX, result)


def _reciprocal(x):
    """1 / (1 + x) as Q0 for Q0 ``x`` within [0, 1): three steps of Newton's method."""
    half = (x + _MAX + 1) >> 1
    y = _fixed(48 / 17, 2) + _multiply(half, _fixed(-32 / 17, 2))
    for _ in range(3):
        error = (1 << 29) - _multiply(half, y)
        y = y + _shift_left(_multiply(y, error), 2)
    return _shift_left(y, 1)


def softmax(x, *, scale, beta=1.0):
    """Softmax over the last axis of int8 ``x``; the result has scale 1/256 and zero point -128."""
    real = min(float(beta) * float(scale) * (1 << 31 - _DIFF_BITS), _MAX)
    multiplier, exponent = quantize_multiplier(real)
    radius = math.floor(((1 << _DIFF_BITS) - 1) * (1 << 31 - _DIFF_BITS) / (1 << exponent))
    diff = x.astype(np.int64) - x.max(axis=-1, keepdims=True).astype(np.int64)
    counts = diff >= -radius
    powers = _exp((np.where(counts, diff, 0) * multiplier * (1 << exponent) + (1 << 30)) >> 31)
    total = np.where(counts, _shift_right(powers, _SUM_BITS), 0).sum(axis=-1, keepdims=True)
    headroom = 32 - np.array([int(value).bit_length() for value in total.ravel()])
    headroom = headroom.reshape(total.shape)
    inverse = _reciprocal((total << headroom) - (1 << 31))
    shift = _SUM_BITS - headroom + 31 - 8
    y = _multiply(inverse, powers)
    y = (y + (1 << shift - 1)) >> shift
    return np.where(counts, np.clip(y - 128, -128, 127), -128).astype(np.int8)
