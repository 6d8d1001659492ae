"""Operators as onnxruntime computes them on x86-64 with AVX2 or later: sums of int8 products in
int32 as everywhere, but scales in float32, and halves to even.

Numbers are int8 here. Where the file has uint8, ``offset`` is 128: it makes no difference but to
what onnxruntime rounds together with a zero point.
"""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import numpy.typing as npt

from sim.golden.conv import conv2d_acc, depthwise_conv2d_acc, fully_connected_acc, output_size
from sim.golden.requantize import requantize_float32
from sim.golden.types import ConvGeometry, Float32, Int8, Int32, Int64, Padding, Pair

__all__ = ["add", "average_pool", "conv2d", "depthwise_conv2d", "fully_connected", "leaky_relu",
           "local_response_normalization", "logistic", "mean", "quantize", "requantise", "rescale",
           "softmax"]


def rescale(input_scale: float, weights_scale: npt.ArrayLike, scale: float) -> Float32:
    """``s_in * s_w / s_out``, from left to right."""
    with np.errstate(over="ignore"):  # infinite then
        products = np.float32(input_scale) * np.asarray(weights_scale, np.float32)
        return products / np.float32(scale)


def quantize(real: npt.ArrayLike, scale: npt.ArrayLike, zero_point: int | Int64) -> Int8:
    """int8 numbers that are closest to ``real``; the arguments broadcast against each other."""
    with np.errstate(over="ignore"):
        quotient = np.asarray(real, np.float32) / np.asarray(scale, np.float32)
    return np.clip(np.rint(quotient) + zero_point, -128, 127).astype(np.int8)


def conv2d(x: Int8, weights: Int8, bias: Int32 | int = 0, *, scale: npt.ArrayLike, zero_point: int,
           low: int = -128, high: int = 127, **geometry: Unpack[ConvGeometry]) -> Int8:
    """QLinearConv: int8 results of :func:`~sim.golden.conv.conv2d_acc`."""
    acc = conv2d_acc(x, weights, bias, **geometry)
    return requantize_float32(acc, 0, scale, zero_point, low, high)


def depthwise_conv2d(x: Int8, weights: Int8, bias: Int32 | int = 0, *, scale: npt.ArrayLike,
                     zero_point: int, low: int = -128, high: int = 127,
                     **geometry: Unpack[ConvGeometry]) -> Int8:
    """QLinearConv: int8 results of :func:`~sim.golden.conv.depthwise_conv2d_acc`."""
    acc = depthwise_conv2d_acc(x, weights, bias, **geometry)
    return requantize_float32(acc, 0, scale, zero_point, low, high)


def fully_connected(x: Int8, weights: Int8, bias: Int32 | int = 0, *, input_zero_point: int,
                    scale: npt.ArrayLike, zero_point: int, low: int = -128,
                    high: int = 127) -> Int8:
    """QLinearMatMul, QGemm: int8 results of :func:`~sim.golden.conv.fully_connected_acc`."""
    acc = fully_connected_acc(x, weights, bias, input_zero_point=input_zero_point)
    return requantize_float32(acc, 0, scale, zero_point, low, high)


def _multiply_add(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Float32:
    """``a * b + c`` rounded once. The product is exact in float64; so is the sum, as long as its
    terms are less than some 2**20 apart."""
    wide = [np.asarray(x, np.float64) for x in (a, b, c)]
    return (wide[0] * wide[1] + wide[2]).astype(np.float32)


def _saturate(real: Float32, offset: int, low: int, high: int) -> Int8:
    return np.clip(np.rint(real) - offset, low, high).astype(np.int8)


def add(a: Int8, b: Int8, *, scales: Sequence[float], zero_points: Sequence[int], scale: float,
        zero_point: int, offset: int = 0, low: int = -128, high: int = 127) -> Int8:
    """QLinearAdd: sum of int8 ``a`` and ``b`` of equal shape; ``scales``, ``zero_points`` theirs.

    One multiplication and addition for each operand. All that is constant is a term of its own,
    the zero point of the result included.
    """
    ratios = [np.float32(s) / np.float32(scale) for s in scales]
    zeros = [np.float32(z + offset) for z in zero_points]
    constant = np.float32(zero_point + offset) - _multiply_add(ratios[0], zeros[0],
                                                               ratios[1] * zeros[1])
    a, b = (x.astype(np.float32) + np.float32(offset) for x in (a, b))
    y = _multiply_add(a, ratios[0], _multiply_add(b, ratios[1], constant))
    return _saturate(y, offset, low, high)


def average_pool(x: Int8, *, kernel: Pair, stride: Pair, padding: Padding, count_padding: bool,
                 input_scale: float, input_zero_point: int, scale: float, zero_point: int,
                 offset: int = 0, low: int = -128, high: int = 127) -> Int8:
    """QLinearAveragePool: real numbers are summed in float32, line by line, and their mean is
    quantised. With ``count_padding`` the padding is part of it. Windows that are the whole image
    without padding have :func:`mean` instead."""
    real = (x.astype(np.float32) - np.float32(input_zero_point)) * np.float32(input_scale)
    real = np.pad(real, ((0, 0), *padding, (0, 0)))
    cells = np.pad(np.ones(x.shape[1:3], np.float32), padding,
                   constant_values=float(count_padding))
    oh, ow = (output_size(size, k, s, 1, (0, 0))
              for size, k, s in zip(cells.shape, kernel, stride, strict=True))
    total: Float32 = np.zeros((), np.float32)
    count: Float32 = np.zeros((), np.float32)
    for top, left in np.ndindex(*kernel):
        lines, pixels = (slice(start, start + (n - 1) * step + 1, step) for start, n, step in
                         zip((top, left), (oh, ow), stride, strict=True))
        total = total + real[:, lines, pixels]
        count = count + cells[lines, pixels]
    y = total / count[..., None] / np.float32(scale) + np.float32(zero_point + offset)
    return _saturate(y, offset, low, high)


def mean(x: Int8, *, input_scale: float, input_zero_point: int, scale: float, zero_point: int,
         low: int = -128, high: int = 127) -> Int8:
    """QLinearGlobalAveragePool: mean over all pixels, (n, 1, 1, c), of an exact sum."""
    pixels = x.shape[1] * x.shape[2]
    total = (x.astype(np.int64) - input_zero_point).sum(axis=(1, 2), keepdims=True)
    factor = np.float32(input_scale) / (np.float32(scale) * np.float32(pixels))
    return requantize_float32(total, 0, factor, zero_point, low, high)


def _real(x: Int8, scale: float, zero_point: int) -> Float32:
    return (x.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def requantise(x: Int8, *, input_scale: float, input_zero_point: int, scale: float, zero_point: int,
               low: int = -128, high: int = 127) -> Int8:
    """DequantizeLinear and QuantizeLinear: int8 ``x`` in another scale."""
    y = quantize(_real(x, input_scale, input_zero_point), scale, zero_point)
    return np.clip(y, low, high).astype(np.int8)


def leaky_relu(x: Int8, *, alpha: float, input_scale: float, input_zero_point: int, scale: float,
               zero_point: int, low: int = -128, high: int = 127) -> Int8:
    """QLinearLeakyRelu: ``x``, times ``alpha`` where it is negative."""
    real = _real(x, input_scale, input_zero_point)
    y = quantize(np.where(real >= 0, real, np.float32(alpha) * real), scale, zero_point)
    return np.clip(y, low, high).astype(np.int8)


#: Coefficients of the quotient of two polynomials that takes the place of the logistic function,
#: less 1/2: odd powers from the 9th down to the 1st, even ones from the 10th down to the 0th.
_ODD = (4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03,
        2.48287947061529e-01)
_EVEN = (6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03,
         1.16817656904453e-01, 9.93151921023180e-01)


def logistic(x: Int8, *, input_scale: float, input_zero_point: int, scale: float, zero_point: int,
             low: int = -128, high: int = 127) -> Int8:
    """QLinearSigmoid: 1 / (1 + exp(-x))."""
    real = np.clip(_real(x, input_scale, input_zero_point), np.float32(-18), np.float32(18))
    square = real * real
    above, below = np.float32(_ODD[0]), np.float32(_EVEN[0])
    for factor in _ODD[1:]:
        above = _multiply_add(above, square, np.float32(factor))
    for factor in _EVEN[1:]:
        below = _multiply_add(below, square, np.float32(factor))
    y = np.clip(above * real / below + np.float32(0.5), np.float32(0), np.float32(1))
    return np.clip(quantize(y, scale, zero_point), low, high).astype(np.int8)


def local_response_normalization(x: Int8, *, size: int, alpha: float, beta: float, bias: float,
                                 input_scale: float, input_zero_point: int, scale: float,
                                 zero_point: int, low: int = -128, high: int = 127) -> Int8:
    """LRN, over ``size`` neighbours among the channels, which lie last: as onnxruntime sums
    squares, from channel to channel with what comes and what goes."""
    real = _real(x, input_scale, input_zero_point)
    before, factor = (size - 1) // 2, np.float32(alpha) / np.float32(size)
    squares = np.pad(real * real, [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)])
    sums = np.empty_like(real)
    total = np.full(real.shape[:-1], bias, np.float32)
    for channel in range(size):
        total = total + factor * squares[..., channel]
    sums[..., 0] = total
    for channel in range(1, x.shape[-1]):
        total = total + factor * squares[..., channel + size - 1]
        total = total - factor * squares[..., channel - 1]
        sums[..., channel] = total
    powers = np.power(sums.astype(np.float64), -np.float64(np.float32(beta))).astype(np.float32)
    return np.clip(quantize(powers * real, scale, zero_point), low, high).astype(np.int8)


def softmax(x: Int8, *, input_scale: float, scale: float, zero_point: int, low: int = -128,
            high: int = 127) -> Int8:
    """QLinearSoftmax along the last axis: of exponentials in float32, as large as their sum allows,
    times the whole part of ``1 / scale``. The logarithm of that room is a float32, which tells what
    the exponentials round to; product and quotient are float64."""
    room = np.float64(np.log(np.finfo(np.float32).max / np.float32(x.shape[-1]))) - 5
    exponents = (np.arange(256) - 255) * np.float64(np.float32(input_scale)) + max(room, 0.0)
    table = np.exp(exponents).astype(np.float32)
    x = x.astype(np.int64)
    exponentials = table[x - x.max(axis=-1, keepdims=True) + 255]
    total = np.cumsum(exponentials, axis=-1, dtype=np.float32)[..., -1:]
    whole = np.floor(np.float32(1) / np.float32(scale))
    real = exponentials.astype(np.float64) * whole / total
    return np.clip(np.rint(real) + zero_point, low, high).astype(np.int8)
