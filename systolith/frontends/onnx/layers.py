"""Layers with weights: what they may look like, and how they enter the graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden import float32
from sim.golden.types import Float32, Int8, Int16, Int32
from systolith.frontends.onnx.builder import FULL, Builder, Quantisation, rows_of
from systolith.frontends.onnx.node import Node, window
from systolith.frontends.onnx.values import Activation, Refusal, Shape
from systolith.graph.attributes import Pair

__all__ = ["Convolution", "Kind", "Layer", "MatMul", "check_factors", "integers"]

#: Most weights that a convolution in groups may have without them.
MOST_WEIGHTS = 1 << 20


def integers(array: npt.NDArray[Any], zero_points: npt.ArrayLike, axis: int) -> Int16:
    """int16 weights of which ``zero_points`` (one, or one for each index of ``axis``) are
    subtracted. Both are of one type, int8 or uint8."""
    if array.dtype.name not in {"int8", "uint8"}:
        raise Refusal(f"the weights are {array.dtype}, not int8 or uint8")
    zeros = np.asarray(zero_points).astype(np.int16).ravel()
    if zeros.size > 1:
        channels = array.shape[axis] if array.ndim else 1
        if zeros.size != channels:
            raise Refusal(f"the weights have {zeros.size} zero points instead of 1 or {channels}")
        shape = [1] * array.ndim
        shape[axis] = -1
        zeros = zeros.reshape(shape)
    return array.astype(np.int16) - zeros


def int8_parts(weights: Int16) -> list[Int8]:
    """int8 weights whose sum is ``weights``: one, two or three times as many."""
    parts: list[Int8] = []
    while not parts or np.any(weights):
        parts.append(np.clip(weights, -128, 127).astype(np.int8))
        weights = weights - parts[-1]
    return parts


def check_factors(factors: npt.ArrayLike) -> None:
    """Refuse factors by which the requantisation cannot multiply."""
    for channel, factor in enumerate(np.ravel(factors).tolist()):
        if not 0 <= factor < 8:
            raise Refusal(f"channel {channel} is rescaled by {factor}, but only factors below 8 "
                          "are possible")


class Layer:
    """A layer whose operands are checked; it enters the graph once its result's scale is known.

    ``weights`` have their output channels along ``axis``; their ``scales`` are one or as many.
    Where their zero points leave more than int8 can hold, the input is read twice, or three times.
    """

    kind: str
    attributes: Mapping[str, Any]
    axis = 0
    result_shape: Shape
    shape: Shape         #: That of the file, in which the output channels are ``channel_axis``.
    channel_axis: int

    def _prepare(self, node: Node, x: Activation, weights: Int16, scales: Float32,
                 bias: Int32 | None, scale: float, zero_point: int) -> None:
        self.node, self.scales = node, np.ravel(scales)
        self.input = x.tensor
        self.input_scale, self.zero_point = scale, zero_point
        self.weights = np.ascontiguousarray(weights)
        channels = weights.shape[self.axis]
        if self.scales.size not in {1, channels}:
            raise Refusal(f"the weights have {self.scales.size} scales instead of 1 or {channels}")
        if bias is not None:
            if bias.dtype != np.int32 or bias.size != channels:
                raise Refusal(f"the biases are {bias.dtype} {bias.shape} instead of int32 "
                              f"{(channels,)}")
            bias = bias.reshape(channels)
        self.bias = bias
        magnitudes = np.abs(np.moveaxis(weights, self.axis, 0).astype(np.int64))
        reach = magnitudes.reshape(channels, -1).sum(axis=1) * max(zero_point + 128,
                                                                   127 - zero_point)
        if bias is not None:
            reach = reach + np.abs(bias.astype(np.int64))
        if reach.max() >= 1 << 31:
            raise Refusal(f"the sums of channel {reach.argmax()} can exceed 32 bits")
        self.reach = reach

    def finish(self, scale: float, zero_point: int, unsigned: bool,
               bounds: Pair = FULL) -> Activation:
        """Append it to the graph; the activation that it computes."""
        check_factors(float32.rescale(self.input_scale, self.scales, scale))
        builder, name = self.node.builder, self.node.outputs[0]
        source, weights = self._narrow(builder, name)
        inputs = [source, builder.constant(f"{name} weights", weights, self.scales)]
        if self.bias is not None:
            inputs.append(builder.constant(f"{name} biases", self.bias,
                                           self.input_scale * self.scales.astype(np.float64)))
        tensor = builder.append(self.kind, inputs, name, self.result_shape, unsigned,
                                Quantisation(scale, zero_point), range=bounds, **self.attributes)
        return builder.result(tensor, self.shape, self.channel_axis)

    def _narrow(self, builder: Builder, name: str) -> tuple[int, Int8]:
        """The input, or copies of it side by side, and int8 weights for that."""
        parts = int8_parts(self.weights)
        if len(parts) == 1:
            return self.input, parts[0]
        draft = builder.draft(self.input)
        *inner, channels = draft.shape
        pixels = [part.reshape(-1, channels) for part in parts]
        shape = (*self.weights.shape[:-1], self.weights.shape[-1] * len(parts))
        source = builder.append("CONCATENATION", [self.input] * len(parts), name,
                                (*inner, channels * len(parts)), draft.unsigned,
                                draft.quantisation)
        return source, np.concatenate(pixels, axis=1).reshape(shape)


def _spelt_out(weights: Int16, groups: int) -> Int16:
    """``weights`` (cout, cin, ...) of ``groups`` as those of one, with zeros between them: copies
    of the input side by side know no groups."""
    cout, cin, *kernel = weights.shape
    if weights.size * groups > MOST_WEIGHTS:
        raise Refusal(f"the weights less their zero point reach from {weights.min()} to "
                      f"{weights.max()}, which is more than int8 can hold, and {groups} groups are "
                      "too many to take them apart: quantise them symmetrically, with the zero "
                      "point 0 (128 of uint8)")
    dense = np.zeros((groups, cout // groups, groups, cin, *kernel), weights.dtype)
    each = np.arange(groups)
    dense[each, :, each] = weights.reshape(groups, cout // groups, cin, *kernel)
    return dense.reshape(cout, groups * cin, *kernel)


class Convolution(Layer):
    """A convolution over ``x``, whose ``weights`` are (cout, cin / groups, kh, kw) int8."""

    channel_axis = 1

    def __init__(self, node: Node, x: Activation, weights: Int16, scales: Float32,
                 bias: Int32 | None, *, scale: float, zero_point: int) -> None:
        if weights.ndim not in {3, 4} or weights.ndim != len(x.shape):
            raise Refusal(f"the input has the shape {x.shape} and the weights {weights.shape}; "
                          "only convolutions over one or two axes are possible")
        kernel = weights.shape[2:]
        if (node.integers("kernel_shape") or kernel) != kernel:
            raise Refusal(f"its kernel_shape is {node.integers('kernel_shape')}, but its weights "
                          f"have the shape {weights.shape}")
        outputs, geometry = window(node, x.shape[2:], kernel, dilated=True)
        groups, (cout, cin) = node.integer("group", 1), weights.shape[:2]
        if groups < 1 or cin * groups != x.shape[1] or cout % groups:
            raise Refusal(f"{x.shape[1]} input channels, filters of shape {weights.shape} and "
                          f"{groups} groups do not fit each other")
        if weights.ndim == 3:
            weights = weights[:, :, None]
        if groups > 1 and len(int8_parts(weights)) > 1:
            weights, groups, cin = _spelt_out(weights, groups), 1, x.shape[1]
        weights = weights.transpose(0, 2, 3, 1)
        self.kind, self.attributes = "CONV_2D", geometry
        if groups > 1 and cin == 1:
            self.kind, self.axis = "DEPTHWISE_CONV_2D", 3
            weights = weights.transpose(3, 1, 2, 0)
        self._prepare(node, x, weights, scales, bias, scale, zero_point)
        self.input = node.builder.image(x)
        self.result_shape = (x.shape[0], *outputs, cout)
        self.shape = (x.shape[0], cout, *outputs[2 - len(kernel):])


class MatMul(Layer):
    """A product of ``x`` (..., cin) and the int8 ``weights`` (cin, cout)."""

    channel_axis = -1
    kind = "FULLY_CONNECTED"
    attributes = {}

    def __init__(self, node: Node, x: Activation, weights: Int16, scales: Float32,
                 bias: Int32 | None, *, scale: float, zero_point: int) -> None:
        while weights.ndim > 2 and weights.shape[0] == 1 and weights.ndim <= len(x.shape):
            weights = weights[0]
        if weights.ndim != 2 or weights.shape[0] != x.shape[-1]:
            raise Refusal(f"the input has the shape {x.shape} and the weights {weights.shape}; "
                          "only a matrix of as many lines as the input has columns is possible")
        if len(x.shape) == 1:
            raise Refusal("the input has one axis; only (n, cin) or more are possible")
        _, order = rows_of(x)
        if len(int8_parts(weights)) > 1 and x.shape[-1] % node.builder.draft(x.tensor).shape[-1]:
            raise Refusal("the weights less their zero point are more than int8 can hold: quantise "
                          "them symmetrically, with the zero point 0 (128 of uint8)")
        self._prepare(node, x, weights[order].T, scales, bias, scale, zero_point)
        self.shape = self.result_shape = (*x.shape[:-1], weights.shape[1])


Kind = type[Convolution] | type[MatMul]
