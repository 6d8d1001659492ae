"""The operators between convolutions, as TensorFlow Lite Micro computes them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sim.golden.conv import output_size
from sim.golden.requantize import quantize_multiplier, requantize
from sim.golden.types import Int8, Int64, Padding, Pair

__all__ = ["activation_range", "add", "average_pool", "max_pool", "mean", "mean_params", "nearest",
           "repeat", "rescaled"]

#: Real bounds of each fused activation.
BOUNDS = {"NONE": (None, None), "RELU": (0, None), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}


def activation_range(activation: str, scale: float, zero_point: int) -> Pair:
    """Bounds ``(low, high)`` of the int8 results of a fused ``activation``."""
    def quantize(real: float) -> int:
        quotient = np.float32(real) / np.float32(scale)
        return zero_point + int(np.sign(real) * np.floor(np.abs(quotient) + 0.5))

    low, high = BOUNDS[activation]
    return (-128 if low is None else max(-128, quantize(low)),
            127 if high is None else min(127, quantize(high)))


def rescaled(x: Int64, scale: float) -> Int64:
    """``x * scale`` rounded as the requantisation does; ``scale`` is below 1."""
    multiplier, exponent = quantize_multiplier(scale)
    t = (x * multiplier + (1 << 30)) >> 31
    return t if exponent == 0 else (t + (1 << -exponent - 1) - (t < 0)) >> -exponent


def add(a: Int8, b: Int8, *, scales: Sequence[float], zero_points: Sequence[int], scale: float,
        zero_point: int, low: int = -128, high: int = 127) -> Int8:
    """Sum of int8 ``a`` and ``b`` of equal shape; ``scales`` and ``zero_points`` are theirs."""
    twice = 2 * max(scales)
    total = sum((rescaled((x.astype(np.int64) - z) << 20, s / twice)
                 for x, s, z in zip((a, b), scales, zero_points, strict=True)),
                start=np.zeros((), np.int64))
    y = rescaled(total, twice / ((1 << 20) * scale)) + zero_point
    return np.clip(y, low, high).astype(np.int8)


def _windows(x: Int8, kernel: Pair, stride: Pair, padding: Padding, fill: int) -> Int64:
    """Windows (n, oh, ow, kh * kw, c) of ``x``, with ``fill`` where it has no cell."""
    x = np.pad(x.astype(np.int64), ((0, 0), *padding, (0, 0)), constant_values=fill)
    oh, ow = (output_size(size, k, s, 1, (0, 0))
              for size, k, s in zip(x.shape[1:3], kernel, stride, strict=True))
    return np.stack([x[:, top:top + (oh - 1) * stride[0] + 1:stride[0],
                       left:left + (ow - 1) * stride[1] + 1:stride[1]]
                     for top, left in np.ndindex(*kernel)], axis=3)


def average_pool(x: Int8, *, kernel: Pair, stride: Pair, padding: Padding = ((0, 0), (0, 0)),
                 low: int = -128, high: int = 127) -> Int8:
    """Mean of the cells of each window that lie in the image, ties away from zero."""
    total = _windows(x, kernel, stride, padding, 0).sum(axis=3)
    count = _windows(np.ones_like(x), kernel, stride, padding, 0).sum(axis=3)
    magnitude = (np.abs(total) + count // 2) // count
    return np.clip(np.sign(total) * magnitude, low, high).astype(np.int8)


def max_pool(x: Int8, *, kernel: Pair, stride: Pair, padding: Padding = ((0, 0), (0, 0)),
             low: int = -128, high: int = 127) -> Int8:
    """Maximum of the cells of each window that lie in the image."""
    return np.clip(_windows(x, kernel, stride, padding, -128).max(axis=3), low, high).astype(
        np.int8)


def mean_params(count: int, scale: float) -> Pair:
    """``(multiplier, shift)`` as of :func:`sim.golden.requantize.channel_params`, by which the sum
    of ``count`` numbers becomes their mean, times ``scale``.

    The reciprocal of the count is part of the multiplier, whose lowest bits are cut off.
    """
    multiplier, exponent = quantize_multiplier(scale)
    bits = min(count.bit_length() - 1, 31 + exponent)
    multiplier, exponent = (multiplier << bits) // count, exponent - bits
    return multiplier << max(exponent, 0), max(-exponent, 0)


def mean(x: Int8, *, scales: Sequence[float], zero_points: Sequence[int]) -> Int8:
    """Mean (n, c) over the pixels of each image; ``scales`` and ``zero_points`` are those of the
    input and of the result."""
    multiplier, shift = mean_params(x.shape[1] * x.shape[2], scales[0] / scales[1])
    total = (x.astype(np.int64) - zero_points[0]).sum(axis=(1, 2))
    return requantize(total, 0, multiplier, shift, zero_points[1])


def nearest(size: int, outputs: int, *, align_corners: bool = False,
            half_pixel_centers: bool = False) -> npt.NDArray[np.int_]:
    """Index, within ``size``, of the input nearest to each of ``outputs`` along one axis.

    In float32, in which not every quotient lands on its side of an integer.
    """
    if align_corners and outputs > 1:
        step = np.float32(size - 1) / np.float32(outputs - 1)
    else:
        step = np.float32(size) / np.float32(outputs)
    place = (np.arange(outputs, dtype=np.float32) + np.float32(0.5 * half_pixel_centers)) * step
    index = np.floor(place)
    if align_corners:  # to the nearest, ties upwards
        index += place - index >= 0.5
    return np.minimum(index.astype(int), size - 1)


def repeat(x: Int8, factor: Pair) -> Int8:
    """``x`` (n, h, w, c) with each line ``factor[0]`` and each pixel ``factor[1]`` times."""
    return x.repeat(factor[0], axis=1).repeat(factor[1], axis=2)
