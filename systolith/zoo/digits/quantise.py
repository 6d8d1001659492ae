"""From a trained network to int8, as TensorFlow Lite quantises after training.

Activations have one scale and zero point, from the values that they take on images; weights are
symmetric, within -127..127, with a scale for each output channel (one for all in a fully connected
layer); biases are int32 in units of the product of both.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from sim.golden.conv import same_padding
from sim.golden.types import Float32, Int8, Int32, Pair
from systolith.graph.ir import Graph, Operator, Tensor, make_operator
from systolith.zoo.digits.data import SCALE, ZERO_POINT
from systolith.zoo.digits.network import (
    AveragePool,
    Convolution,
    Depthwise,
    Flatten,
    Layer,
    Network,
    Softmax,
)

__all__ = ["quantise"]

#: Axis of the output channels of the weights, where each has its own scale.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}

#: Operators whose results mean what their inputs mean, number by number.
SAME_NUMBERS = {"AVERAGE_POOL_2D", "RESHAPE"}


def activation_parameters(values: np.ndarray) -> tuple[float, int]:
    """``(scale, zero_point)`` with which int8 covers ``values``, and has 0 exactly."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = np.float32((high - low) / 255) or np.float32(1)
    return float(scale), int(np.clip(np.rint(-128 - low / float(scale)), -128, 127))


def quantise_weights(weights: np.ndarray, axis: int | None) -> tuple[Int8, Float32]:
    """int8 numbers and their float32 scales: one, or one for each index of ``axis``."""
    others = tuple(n for n in range(weights.ndim) if axis is None or n != axis)
    peak = np.abs(weights).max(axis=others, keepdims=True).astype(np.float64)
    scales = (np.where(peak > 0, peak, 1) / 127).astype(np.float32)
    numbers = np.clip(np.rint(weights / scales.astype(np.float64)), -127, 127)
    return numbers.astype(np.int8), scales.ravel()


def quantise_bias(bias: np.ndarray, input_scale: float,
                  weight_scales: Float32) -> tuple[Int32, Float32]:
    """int32 numbers and their float32 scales, the products of those of input and weights."""
    scales = np.float32(input_scale) * weight_scales
    numbers = np.rint(bias / scales.astype(np.float64))
    if np.abs(numbers).max() >= 1 << 31:
        raise ValueError("a bias is too large for its scale: the weights of its channel are close "
                         "to zero")
    return numbers.astype(np.int32), scales


class _Builder:
    """Tensors and operators as they come."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []

    def tensor(self, name: str, shape: Iterable[int], scales: Iterable[float],
               **fields: Any) -> int:
        self.tensors.append(Tensor(name=name, shape=tuple(shape),
                                   scales=tuple(float(scale) for scale in scales), **fields))
        return len(self.tensors) - 1

    def constants(self, name: str, layer: Layer, input_scale: float) -> list[int]:
        """Indices of the quantised weights and biases of ``layer``."""
        axis = CHANNEL_AXIS.get(layer.kind)
        weights, scales = quantise_weights(layer.parameters["weights"], axis)
        bias, bias_scales = quantise_bias(layer.parameters["bias"], input_scale, scales)
        return [
            self.tensor(f"{name}/weights", weights.shape, scales, data=weights, axis=axis or 0),
            self.tensor(f"{name}/bias", bias.shape, bias_scales, data=bias, dtype="int32")]


def _attributes(layer: Layer, size: Pair) -> dict[str, Any]:
    """Attributes of the operator of ``layer``, whose input is an image of ``size``."""
    attributes = {"activation": "RELU" if layer.relu else "NONE"}
    match layer:
        case Convolution() | Depthwise():
            return attributes | {
                "stride": (layer.stride, layer.stride), "dilation": (1, 1),
                "padding": tuple(same_padding(n, k, layer.stride)
                                 for n, k in zip(size, layer.kernel, strict=True))}
        case AveragePool():
            return attributes | {"kernel": size, "stride": size, "padding": ((0, 0), (0, 0))}
        case Flatten():
            return {}
        case Softmax():
            return {"beta": 1.0}
        case _:
            return attributes


def quantise(network: Network, images: np.ndarray) -> Graph:
    """The int8 :class:`~systolith.graph.ir.Graph` of ``network``, for one image at a time.

    ``images`` are real ones, (n, h, w, c), on which the ranges of the activations are measured.
    """
    values = network.forward(images)
    shapes = [(1, *value.shape[1:]) for value in values]
    builder = _Builder()
    activations = [builder.tensor("image", shapes[0], [SCALE], zero_point=ZERO_POINT)]
    for number, (layer, inputs) in enumerate(network.layers):
        name = f"{number}_{layer.kind.lower()}"
        x = builder.tensors[activations[inputs[0]]]
        operands = [activations[index] for index in inputs]
        if "weights" in layer.parameters:
            operands += builder.constants(name, layer, x.scale)
        if layer.kind in SAME_NUMBERS:
            scale, zero_point = x.scale, x.zero_point
        elif layer.kind == "SOFTMAX":
            scale, zero_point = 1 / 256, -128  # the only ones that the operator has
        else:
            scale, zero_point = activation_parameters(values[number + 1])
        activations.append(builder.tensor(name, shapes[number + 1], [scale],
                                          zero_point=zero_point))
        builder.operators.append(make_operator(
            kind=layer.kind, inputs=tuple(operands), outputs=(activations[-1],), index=number,
            attributes=_attributes(layer, x.size)))
    return Graph(tensors=tuple(builder.tensors), operators=tuple(builder.operators),
                 inputs=(activations[0],), outputs=(activations[-1],))
