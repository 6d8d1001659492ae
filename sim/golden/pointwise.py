"""Operators that look at one int8 number at a time, as TensorFlow Lite Micro computes them.

So each is a table of 256 entries.
"""

import math
from collections.abc import Sequence

import numpy as np

from sim.golden.conv import rescale
from sim.golden.fixed_point import ONE, exp, ratio, reciprocal, shift_right
from sim.golden.operators import activation_range
from sim.golden.requantize import quantize_multiplier
from sim.golden.types import Int8, Int64

__all__ = ["clamp", "hard_swish", "leaky_relu", "logistic", "relu", "requantise", "tanh"]

_INPUT_BITS = 4  # integer bits of what logistic function and hyperbolic tangent are computed of


def _fixed(x: Int8, scale: float, zero_point: int) -> tuple[Int64, Int64]:
    """Numbers with 4 integer bits that int8 ``x`` stand for, and where they are out of range: -1 or
    1 there, else 0."""
    fraction, exponent = math.frexp(scale * (1 << 31 - _INPUT_BITS))
    multiplier = round(fraction * (1 << 31))
    radius = (((1 << _INPUT_BITS) - 1) << 31 - _INPUT_BITS) >> exponent
    x = x.astype(np.int64) - zero_point
    beyond = np.where(np.abs(x) < radius, 0, np.where(x > -radius, 1, -1))
    return ((np.where(beyond, 0, x) << min(exponent, 31)) * multiplier + (1 << 30)) >> 31, beyond


def _int8(y: Int64, beyond: Int64) -> Int8:
    """int8 of ``y``, and the ends of the range for what was out of range."""
    return np.where(beyond, np.where(beyond > 0, 127, -128), np.clip(y, -128, 127)).astype(np.int8)


def logistic(x: Int8, *, scale: float, zero_point: int) -> Int8:
    """1 / (1 + exp(-x)) of int8 ``x`` in fixed point; the result has scale 1/256 and zero point
    -128. ``scale`` is at least 2 ** -27."""
    a, beyond = _fixed(x, scale, zero_point)
    positive = reciprocal(exp(-np.abs(a), _INPUT_BITS))
    y = np.where(a > 0, positive, np.where(a == 0, 1 << 30, ONE - positive))
    return _int8(shift_right(y, 31 - 8) - 128, beyond)


def tanh(x: Int8, *, scale: float, zero_point: int) -> Int8:
    """Hyperbolic tangent of int8 ``x`` in fixed point; the result has scale 1/128 and zero point 0.
    ``scale`` is at least 2 ** -27."""
    a, beyond = _fixed(x, scale, zero_point)
    positive = ratio(exp(-np.abs(a), _INPUT_BITS + 1))  # twice as much, of a bit more
    y = np.where(a > 0, positive, np.where(a == 0, 0, -positive))
    return _int8(shift_right(y, 31 - 7), beyond)


def _int16(multiplier: int) -> int:
    return min(multiplier + (1 << 15) >> 16, (1 << 15) - 1)


def hard_swish(x: Int8, *, scales: Sequence[float], zero_points: Sequence[int]) -> Int8:
    """x * min(max(x + 3, 0), 6) / 6 of int8 ``x`` in 16 bits; ``scales`` and ``zero_points`` are
    those of ``x`` and of the result."""
    fine = np.float32(scales[0]) / np.float32(128)
    result, exponent = quantize_multiplier(float(fine / np.float32(scales[1])))
    gate, gate_exponent = quantize_multiplier(float(fine / np.float32(3 / 32768)))

    def product(a: Int64, multiplier: int) -> Int64:
        return np.minimum((a * _int16(multiplier) + (1 << 14)) >> 15, (1 << 15) - 1)

    def left(a: Int64, bits: int) -> Int64:
        return np.clip(a << bits, -1 << 15, (1 << 15) - 1)

    fixed = (x.astype(np.int64) - zero_points[0]) << 7
    gates = product(left(fixed, max(gate_exponent - 1, 0)), gate)
    if gate_exponent > 0:
        gates = left(gates, 1)
    elif gate_exponent < 0:
        gates = shift_right(gates, -gate_exponent)
    gates = gates + (1 << 15) >> 1
    # This product is cut off towards zero, not rounded.
    both = gates * product(fixed, result)
    y = np.sign(both) * (np.abs(both) >> 15)
    if exponent < 0:
        y = shift_right(y, -exponent)
    return np.clip(y + zero_points[1], -128, 127).astype(np.int8)


def requantise(x: Int8, *, scales: Sequence[float], zero_points: Sequence[int], low: int = -128,
               high: int = 127) -> Int8:
    """int8 ``x`` in the scale and zero point of the result: the second of ``scales`` and
    ``zero_points``, of which the first are those of ``x``.

    Raises :exc:`ValueError` unless ``x`` is rescaled by at least 0 and below 8.
    """
    return rescale(x.astype(np.int64) - zero_points[0], scales[0] / scales[1], zero_points[1], low,
                   high)


def relu(x: Int8, *, scales: Sequence[float], zero_points: Sequence[int]) -> Int8:
    """What is positive of int8 ``x``, as :func:`requantise` gives it."""
    return requantise(x, scales=scales, zero_points=zero_points, low=zero_points[1])


def clamp(x: Int8, *, activation: str, scale: float, zero_point: int) -> Int8:
    """int8 ``x`` between the bounds of an ``activation``, in its own ``scale`` and
    ``zero_point``."""
    return np.clip(x, *activation_range(activation, scale, zero_point)).astype(np.int8)


def leaky_relu(x: Int8, *, alpha: float, scales: Sequence[float],
               zero_points: Sequence[int]) -> Int8:
    """int8 ``x``, times ``alpha`` where it is negative, as :func:`requantise` gives it."""
    negative = requantise(x, scales=(scales[0] * alpha, scales[1]), zero_points=zero_points)
    return np.where(x < zero_points[0], negative,
                    requantise(x, scales=scales, zero_points=zero_points))
