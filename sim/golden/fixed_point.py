"""Fixed-point functions that TensorFlow Lite Micro builds on.

Numbers are int32, here in int64, with a given count of integer bits ``i``, so ``31 - i`` of
fraction: "Qi".
"""

import math

import numpy as np

from sim.golden.types import Int64

__all__ = ["ONE", "exp", "multiply", "ratio", "reciprocal", "shift_left", "shift_right"]

#: What stands for 1 in Q0, which it is just short of.
ONE = (1 << 31) - 1


def _fixed(real: float, integer_bits: int = 0) -> int:
    return min(math.floor(real * (1 << 31 - integer_bits) + 0.5), ONE)


def multiply(a: Int64 | int, b: Int64 | int) -> Int64:
    """Product, with i + j integer bits, of two numbers with i and with j."""
    return np.minimum((a * b + (1 << 30)) >> 31, ONE)


def shift_right(x: Int64, bits: int) -> Int64:
    """``x / 2 ** bits``, ties away from zero."""
    return (x + (1 << bits - 1) - (x < 0)) >> bits


def shift_left(x: Int64, bits: int) -> Int64:
    """``x * 2 ** bits``, within 32 bits."""
    return np.clip(x << bits, -1 << 31, ONE)


def _exp_small(a: Int64) -> Int64:
    """exp(a) for Q0 ``a`` within [-1/4, 0): a Taylor series about -1/8."""
    x = a + _fixed(1 / 8)
    x2 = multiply(x, x)
    x3, x4 = multiply(x2, x), multiply(x2, x2)
    thirds = multiply(shift_right(x4, 2) + x3, _fixed(1 / 3)) + x2
    constant = _fixed(math.exp(-1 / 8))
    return constant + multiply(constant, x + shift_right(thirds, 1))


def exp(a: Int64, integer_bits: int) -> Int64:
    """exp(a) as Q0 for ``a`` <= 0 with up to 5 ``integer_bits``."""
    fraction = 31 - integer_bits
    quarter = 1 << fraction - 2
    small = (a & quarter - 1) - quarter
    result = _exp_small(shift_left(small, integer_bits))
    remainder = small - a
    for exponent in range(-2, integer_bits):
        factor = multiply(result, _fixed(math.exp(-(2.0 ** exponent))))
        result = np.where(remainder & 1 << fraction + exponent, factor, result)
    return np.where(a == 0, ONE, result)


def _newton(x: Int64) -> Int64:
    """2 / (1 + x) as Q2 for Q0 ``x`` within [0, 1): three steps of Newton's method."""
    half = (x + ONE + 1) >> 1
    y = _fixed(48 / 17, 2) + multiply(half, _fixed(-32 / 17, 2))
    for _ in range(3):
        error = (1 << 29) - multiply(half, y)
        y = y + shift_left(multiply(y, error), 2)
    return y


def reciprocal(x: Int64) -> Int64:
    """1 / (1 + x) as Q0 for Q0 ``x`` within [0, 1)."""
    return shift_left(_newton(x), 1)


def ratio(x: Int64) -> Int64:
    """(1 - x) / (1 + x) as Q0 for Q0 ``x`` within [0, 1)."""
    return shift_left(_newton(x) - (1 << 29), 2)
