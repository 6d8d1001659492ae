"""Convolutions: accumulators and int8 results, as TensorFlow Lite Micro computes them.

Images are (n, h, w, c) int8. ``padding`` is ((top, bottom), (left, right)); what it adds is the
zero point of the input, which contributes nothing. ``scale`` is ``s_in * s_w / s_out``, one
number or one for each output channel.
"""

from collections.abc import Iterator
from typing import Unpack

import numpy as np
import numpy.typing as npt

from sim.golden.requantize import channel_params, requantize
from sim.golden.types import ConvGeometry, Int8, Int32, Int64, Padding, Pair, TransposedGeometry

__all__ = ["conv2d", "conv2d_acc", "depthwise_conv2d", "depthwise_conv2d_acc", "fully_connected",
           "fully_connected_acc", "output_size", "rescale", "same_padding", "transpose_conv2d",
           "transpose_conv2d_acc"]

NO_PADDING = ((0, 0), (0, 0))


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: Pair) -> int:
    """Outputs along one axis of ``size`` with ``padding`` (before, after)."""
    return (size + sum(padding) - (kernel - 1) * dilation - 1) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Padding (before, after) that gives ``ceil(size / stride)`` outputs; an odd one goes after."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _int32(x: Int64) -> Int32:
    """What 32 bits keep of ``x``."""
    return x.astype(np.int64).astype(np.int32)


def rescale(acc: npt.ArrayLike, scale: npt.ArrayLike, zero_point: int, low: int = -128,
            high: int = 127) -> Int8:
    """int8 of int32 ``acc``, whose last axis is that of the channels, times ``scale``.

    Raises :exc:`ValueError` unless each scale is at least 0 and below 8.
    """
    params = [channel_params(float(value)) for value in np.ravel(scale)]
    multiplier, shift = np.array(params, np.int64).T
    return requantize(acc, 0, multiplier, shift, zero_point, low, high)


def _taps(x: Int64, kernel: Pair, stride: Pair, dilation: Pair,
          padding: Padding) -> Iterator[Int64]:
    """For each tap of the kernel, in (kh, kw) order, the (n, oh, ow, c) inputs that it meets."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    (oh, ow), spans = (
        [output_size(size, k, s, d, (0, 0))
         for size, k, s, d in zip(x.shape[1:3], kernel, stride, dilation, strict=True)],
        [(y * dilation[0], z * dilation[1]) for y, z in np.ndindex(*kernel)])
    for top, left in spans:
        yield x[:, top:top + (oh - 1) * stride[0] + 1:stride[0],
                left:left + (ow - 1) * stride[1] + 1:stride[1]]


def conv2d_acc(x: Int8, weights: Int8, bias: Int32 | int = 0, *, input_zero_point: int,
               stride: Pair = (1, 1), dilation: Pair = (1, 1),
               padding: Padding = NO_PADDING) -> Int32:
    """int32 accumulators (n, oh, ow, cout) of ``weights`` (cout, kh, kw, cin).

    An image may have ``groups * cin`` channels: then each of ``groups`` equal parts of the
    output channels reads its own part of the input's.
    """
    cout, kh, kw, cin = weights.shape
    groups = x.shape[3] // cin
    x, weights = x.astype(np.int64) - input_zero_point, weights.astype(np.int64)
    filters = weights.reshape(groups, cout // groups, kh * kw, cin).transpose(2, 0, 3, 1)
    acc: Int64 = np.zeros((), np.int64)
    for part, matrix in zip(_taps(x, (kh, kw), stride, dilation, padding), filters, strict=True):
        vectors = part.reshape(*part.shape[:3], groups, 1, cin)
        acc = acc + vectors @ matrix                            # n, oh, ow, groups, 1, filters
    return _int32(acc.reshape(*acc.shape[:3], cout) + bias)


def depthwise_conv2d_acc(x: Int8, weights: Int8, bias: Int32 | int = 0, *, input_zero_point: int,
                         stride: Pair = (1, 1), dilation: Pair = (1, 1),
                         padding: Padding = NO_PADDING) -> Int32:
    """int32 accumulators (n, oh, ow, c * m) of ``weights`` (1, kh, kw, c * m).

    Output channel ``channel * m + j`` reads input channel ``channel``.
    """
    _, kh, kw, cout = weights.shape
    inputs: Int64 = np.repeat(x.astype(np.int64) - input_zero_point, cout // x.shape[3], axis=3)
    filters = weights.astype(np.int64).reshape(kh * kw, cout)
    taps = _taps(inputs, (kh, kw), stride, dilation, padding)
    acc = sum((part * tap for part, tap in zip(taps, filters, strict=True)),
              start=np.zeros((), np.int64))
    return _int32(acc + bias)


def transpose_conv2d_acc(x: Int8, weights: Int8, bias: Int32 | int = 0, *, input_zero_point: int,
                         size: Pair, stride: Pair = (1, 1), padding: Padding = NO_PADDING) -> Int32:
    """int32 accumulators (n, *size, cout) of ``weights`` (cout, kh, kw, cin).

    The transpose of a convolution from ``size`` to the size of ``x``, with its ``stride`` and its
    ``padding``: input pixel ``i`` adds its products to the outputs from ``i * stride - before`` on.
    """
    (n, h, w, _), (cout, kh, kw, _) = x.shape, weights.shape
    x, weights = x.astype(np.int64) - input_zero_point, weights.astype(np.int64)
    acc: Int64 = np.zeros((n, *(size[axis] + sum(padding[axis]) for axis in (0, 1)), cout),
                          np.int64)
    for top, left in np.ndindex(kh, kw):
        acc[:, top:top + (h - 1) * stride[0] + 1:stride[0],
            left:left + (w - 1) * stride[1] + 1:stride[1]] += x @ weights[:, top, left].T
    (top, _), (left, _) = padding
    return _int32(acc[:, top:top + size[0], left:left + size[1]] + bias)


def fully_connected_acc(x: Int8, weights: Int8, bias: Int32 | int = 0, *,
                        input_zero_point: int) -> Int32:
    """int32 accumulators (n, cout) of ``x`` (n, cin) and ``weights`` (cout, cin)."""
    return _int32((x.astype(np.int64) - input_zero_point) @ weights.astype(np.int64).T + bias)


def conv2d(x: Int8, weights: Int8, bias: Int32 | int = 0, *, scale: npt.ArrayLike, zero_point: int,
           low: int = -128, high: int = 127, **geometry: Unpack[ConvGeometry]) -> Int8:
    """int8 results of :func:`conv2d_acc`."""
    return rescale(conv2d_acc(x, weights, bias, **geometry), scale, zero_point, low, high)


def depthwise_conv2d(x: Int8, weights: Int8, bias: Int32 | int = 0, *, scale: npt.ArrayLike,
                     zero_point: int, low: int = -128, high: int = 127,
                     **geometry: Unpack[ConvGeometry]) -> Int8:
    """int8 results of :func:`depthwise_conv2d_acc`."""
    return rescale(depthwise_conv2d_acc(x, weights, bias, **geometry), scale, zero_point, low, high)


def transpose_conv2d(x: Int8, weights: Int8, bias: Int32 | int = 0, *, scale: npt.ArrayLike,
                     zero_point: int, low: int = -128, high: int = 127,
                     **geometry: Unpack[TransposedGeometry]) -> Int8:
    """int8 results of :func:`transpose_conv2d_acc`."""
    return rescale(transpose_conv2d_acc(x, weights, bias, **geometry), scale, zero_point, low, high)


def fully_connected(x: Int8, weights: Int8, bias: Int32 | int = 0, *, input_zero_point: int,
                    scale: npt.ArrayLike, zero_point: int, low: int = -128,
                    high: int = 127) -> Int8:
    """int8 results of :func:`fully_connected_acc`."""
    acc = fully_connected_acc(x, weights, bias, input_zero_point=input_zero_point)
    return rescale(acc, scale, zero_point, low, high)
