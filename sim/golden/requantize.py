"""Requantisation of int32 accumulators to int8, in both roundings."""

import math

import numpy as np
import numpy.typing as npt

from sim.golden.types import Int8, Int64

__all__ = ["channel_params", "quantize_multiplier", "requantize", "requantize_float32"]


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """``(M, e)`` with ``scale`` close to ``M * 2 ** (e - 31)`` and ``M`` of 31 bits, or ``(0, 0)``
    for a scale too small."""
    if scale == 0:
        return 0, 0
    fraction, exponent = math.frexp(scale)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, exponent = 1 << 30, exponent + 1
    return (0, 0) if exponent < -31 else (multiplier, exponent)


def channel_params(scale: float) -> tuple[int, int]:
    """``(multiplier, shift)`` as the hardware takes them: ``M << max(e, 0)`` and ``max(-e, 0)``.

    Raises :exc:`ValueError` unless ``0 <= scale < 8``.
    """
    multiplier, exponent = quantize_multiplier(scale)
    if scale < 0 or exponent > 3:
        raise ValueError(f"the scale of a requantisation must be at least 0 and below 8, not "
                         f"{scale}")
    return multiplier << max(exponent, 0), max(-exponent, 0)


def _wrap(x: npt.ArrayLike) -> Int64:
    return ((np.asarray(x, np.int64) + (1 << 31)) % (1 << 32)) - (1 << 31)


def requantize(acc: npt.ArrayLike, bias: npt.ArrayLike, multiplier: npt.ArrayLike,
               shift: npt.ArrayLike, zero_point: int, low: int = -128, high: int = 127) -> Int8:
    """int8 outputs of int32 ``acc``, rounded twice as TensorFlow Lite Micro does.

    First ``(x * M + 2^30) >> 31``, ties upwards; then a right shift by ``shift``, ties away from
    zero. The arguments broadcast against each other.
    """
    x = _wrap(np.asarray(acc, np.int64) + np.asarray(bias, np.int64))
    multiplier, shift = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    # The product has up to 66 bits: in two halves of the multiplier, the lower of 17 bits.
    high_half, low_half = multiplier >> 17, multiplier & 0x1ffff
    t = (x * high_half + ((x * low_half + (1 << 30)) >> 17)) >> 14
    half = np.where(shift > 0, np.left_shift(1, np.maximum(shift - 1, 0)), 0)
    y = (t + half - ((t < 0) & (shift > 0))) >> shift
    return np.clip(y + zero_point, low, high).astype(np.int8)


def requantize_float32(acc: npt.ArrayLike, bias: npt.ArrayLike, scale: npt.ArrayLike,
                       zero_point: int, low: int = -128, high: int = 127) -> Int8:
    """int8 outputs of int32 ``acc`` times the float32 ``scale``, rounded to nearest, ties to even,
    as LiteRT's default delegate and onnxruntime do."""
    x = _wrap(np.asarray(acc, np.int64) + np.asarray(bias, np.int64)).astype(np.float32)
    y = np.rint(x * np.asarray(scale, np.float32))
    return np.clip(y.astype(np.float64) + zero_point, low, high).astype(np.int8)
