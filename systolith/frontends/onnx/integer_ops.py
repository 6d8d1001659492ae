"""int32 sums of ConvInteger and MatMulInteger, and what dequantises and quantises them.

onnxruntime rounds them at each step: to float32, times a scale, plus a bias, through the scale of
the result. The hardware multiplies once. Whether the two agree is tried here for every sum of every
channel that is not clamped anyway.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden import float32
from sim.golden.requantize import requantize_float32
from sim.golden.types import Float32, Int64
from systolith.frontends.onnx import layers, shape_ops
from systolith.frontends.onnx.node import Converter, Node, single, zero_points_of
from systolith.frontends.onnx.values import Activation, Constant, Refusal, Step, Sums

__all__ = ["CONVERTERS", "add", "dequantize", "finish", "layer"]

#: Most sums that are tried.
MOST_SUMS = 1 << 24


def layer(kind: layers.Kind, axis: int) -> Converter:
    """The converter of a layer of integers with weights, whose output channels are ``axis`` of the
    weights."""
    def check(node: Node) -> Sums:
        node.expect(2, 4)
        x = node.activation(0)
        array = node.constant(1, "weights")
        zeros = (np.zeros(1, array.dtype) if node.operand(3) is None
                 else node.constant(3, "weights' zero points"))
        if zeros.dtype != array.dtype:
            raise Refusal(f"the weights are {array.dtype}, but their zero points are {zeros.dtype}")
        draft = node.builder.draft(x.tensor)
        zero = np.zeros(1, np.uint8 if draft.unsigned else np.int8)
        if node.operand(2) is not None:
            zero = node.constant(2, "zero point")
        zeros_of_input, unsigned = zero_points_of(zero)
        zero_point = int(single(zeros_of_input, "zero point"))
        if unsigned != draft.unsigned:
            raise Refusal("input 0 and its zero point differ in type")
        scale = draft.quantisation.scale
        if scale is None or draft.quantisation.zero_point != zero_point:
            scale = 1.0
        x = node.builder.quantised(x, scale, zero_point)
        found = kind(node, x, layers.integers(array, zeros, axis), np.ones(1, np.float32), None,
                     scale=scale, zero_point=zero_point)
        return Sums(f"{node.kind} {node.name}".strip(), found)
    return check


def _step(value: Sums, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``array`` with one number, or one for each channel of ``value``."""
    shape, axis = value.shape, value.layer.channel_axis % len(value.shape)
    channels = shape[axis]
    wanted = [channels if at == axis else 1 for at in range(len(shape))]
    lined = (1,) * (len(shape) - array.ndim) + array.shape
    if array.size != 1 and list(lined) != wanted:
        raise Refusal(f"a constant of shape {array.shape} is not one number, or one for each of "
                      f"the {channels} channels of {shape}")
    if (value.low, value.high) != (-np.inf, np.inf):
        raise Refusal("it comes after a Relu or Clip: quantise in between")
    return array.ravel()


def _split(node: Node) -> tuple[Sums, npt.NDArray[Any]]:
    """The sums among two operands, and the constant."""
    node.expect(2)
    at = 0 if isinstance(node.operand(0), Sums) else 1
    value = node.operand(at)
    assert isinstance(value, Sums), "one of the operands is sums"
    return value, node.constant(1 - at, "factors or biases")


def add(node: Node) -> Sums:
    """Biases: of int32 before, of float32 after the sums became floats."""
    value, array = _split(node)
    if array.dtype != (np.float32 if value.real else np.int32):
        raise Refusal(f"a constant of {array.dtype} is added to "
                      f"{'float32' if value.real else 'int32'}")
    return replace(value, steps=(*value.steps, ("add", _step(value, array))))


def _multiply(node: Node) -> Constant | Sums:
    match node.inputs:
        case Constant(array=a), Constant(array=b):
            with np.errstate(over="ignore"):
                return Constant(np.multiply(a, b))
    if not any(isinstance(value, Sums) for value in node.inputs):
        raise Refusal("not supported but for the scales of integer sums")
    value, array = _split(node)
    if not value.real or array.dtype != np.float32:
        raise Refusal("only floats can be multiplied: put a Cast to float32 before")
    return replace(value, steps=(*value.steps, ("mul", _step(value, array))))


def _cast(node: Node) -> Sums:
    node.expect(1)
    value, to = node.operand(0), node.integer("to", 0)
    if isinstance(value, Sums) and to == 1:  # TensorProto.FLOAT
        return replace(value, real=True)
    raise Refusal("not supported but from integer sums to float32")


def dequantize(node: Node, value: Sums) -> Sums:
    """DequantizeLinear of int32."""
    scales = node.constant(1, "scales")
    if node.operand(2) is not None and np.any(node.constant(2, "zero points")):
        raise Refusal("sums of int32 have zero points")
    if value.real or scales.size != 1 and node.axis(len(value.shape), 1) != (
            value.layer.channel_axis % len(value.shape)):
        raise Refusal("it does not go over the channels of int32 sums")
    return replace(value, real=True, steps=(*value.steps, ("mul", scales.ravel())))


def _evaluate(steps: Iterable[Step], acc: Int64, channel: int, scale: float) -> Float32:
    """What onnxruntime makes of the sums ``acc`` of a ``channel`` before the zero point."""
    real = acc
    for kind, numbers in steps:
        number = numbers[channel % numbers.size]
        if kind == "add" and number.dtype == np.int32:
            real = real + int(number)
            continue
        real = real.astype(np.float32)
        with np.errstate(over="ignore"):
            real = real * number if kind == "mul" else real + number
    with np.errstate(over="ignore"):
        return real.astype(np.float32) / np.float32(scale)


def finish(value: Sums, scale: float, zero_point: int, unsigned: bool) -> Activation:
    """Append the layer, with one factor and one bias for each channel; its activation.

    Raises :class:`Refusal` where these cannot give what the steps do.
    """
    layer, steps = value.layer, value.steps
    channels = layer.weights.shape[layer.axis]
    factor, bias = np.ones(channels), np.zeros(channels)
    for kind, numbers in steps:
        if kind == "mul":
            factor = factor * numbers
        bias = bias * numbers if kind == "mul" else bias + numbers
    if not np.all((factor > 0) & (factor < np.inf)):
        raise Refusal(f"{value.what} is multiplied by {factor[:8].tolist()}; only positive and "
                      "finite factors are possible")
    bias = np.rint(bias / factor)
    if not np.all(np.abs(bias) < 1 << 30):
        raise Refusal(f"the biases of {value.what} exceed 30 bits in the scale of the sums")
    layer.scales = (factor / layer.input_scale).astype(np.float32)
    layer.bias = bias.astype(np.int32)
    factors = float32.rescale(layer.input_scale, layer.scales, scale)
    layers.check_factors(factors)
    reach, tried = layer.reach.astype(np.int64), 0
    for channel in range(channels):
        size = int(min(reach[channel], 520 / max(factors[channel], 2.0 ** -40)))
        low, high = (max(-reach[channel], min(reach[channel], -int(bias[channel]) + way * size))
                     for way in (-1, 1))
        tried += high - low
        if tried > MOST_SUMS:
            raise Refusal(f"{value.what} has too many sums to see whether one factor can give them")
        acc = np.arange(low, high + 1, dtype=np.int64)
        y = np.rint(_evaluate(steps, acc, channel, scale)) + zero_point
        want = np.clip(y, -128, 127).astype(np.int8)
        got = requantize_float32(acc, int(bias[channel]), factors[channel], zero_point)
        if np.any(got != want):
            raise Refusal(f"{value.what} is dequantised in steps that no single factor can give: "
                          f"{int((got != want).sum())} of {acc.size} sums of channel {channel} "
                          "differ. Use QLinearConv or QLinearMatMul, or the form with "
                          "DequantizeLinear and QuantizeLinear")
    if np.all(bias == 0):
        layer.bias = None
    bounds = shape_ops.quantised_bounds(value.low, value.high, scale, zero_point)
    return layer.finish(scale, zero_point, unsigned, bounds)


#: What follows integer sums, and is no operator of the graph.
CONVERTERS = {
    "Cast": _cast,
    "Mul": _multiply,
}
