"""Operators that look at one int8 number at a time, as TensorFlow Lite Micro computes them.

So each is a table of 256 entries.
"""

import math

import numpy as np

from sim.golden.conv import rescale
from sim.golden.fixed_point import ONE, exp, reciprocal, shift_right
from sim.golden.operators import activation_range

__all__ = ["leaky_relu", "logistic", "relu", "relu6", "requantise"]

_INPUT_BITS = 4  # integer bits of what the logistic function is computed of


def logistic(x, *, scale, zero_point):
    """1 / (1 + exp(-x)) of int8 ``x`` in fixed point; the result has scale 1/256 and zero point
    -128. ``scale`` is at least 2 ** -27."""
    fraction, exponent = math.frexp(scale * (1 << 31 - _INPUT_BITS))
    multiplier = round(fraction * (1 << 31))
    radius = (((1 << _INPUT_BITS) - 1) << 31 - _INPUT_BITS) >> exponent
    x = x.astype(np.int64) - zero_point
    counts = np.abs(x) < radius
    a = ((np.where(counts, x, 0) << min(exponent, 31)) * multiplier + (1 << 30)) >> 31
    positive = reciprocal(exp(-np.abs(a), _INPUT_BITS))
    y = np.where(a > 0, positive, np.where(a == 0, 1 << 30, ONE - positive))
    y = np.clip(shift_right(y, 31 - 8) - 128, -128, 127)
    return np.where(counts, y, np.where(x > -radius, 127, -128)).astype(np.int8)


def requantise(x, *, scales, zero_points, low=-128, high=127):
    """int8 ``x`` in the scale and zero point of the result: the second of ``scales`` and
    ``zero_points``, of which the first are those of ``x``.

    Raises :exc:`ValueError` unless ``x`` is rescaled by at least 0 and below 8.
    """
    return rescale(x.astype(np.int64) - zero_points[0], scales[0] / scales[1], zero_points[1], low,
                   high)


def relu(x, *, scales, zero_points):
    """What is positive of int8 ``x``, as :func:`requantise` gives it."""
    return requantise(x, scales=scales, zero_points=zero_points, low=zero_points[1])


def relu6(x, *, scale, zero_point):
    """int8 ``x`` between 0 and 6, in its own ``scale`` and ``zero_point``."""
    return np.clip(x, *activation_range("RELU6", scale, zero_point)).astype(np.int8)


def leaky_relu(x, *, alpha, scales, zero_points):
    """int8 ``x``, times ``alpha`` where it is negative, as :func:`requantise` gives it."""
    negative = requantise(x, scales=(scales[0] * alpha, scales[1]), zero_points=zero_points)
    return np.where(x < zero_points[0], negative,
                    requantise(x, scales=scales, zero_points=zero_points))
