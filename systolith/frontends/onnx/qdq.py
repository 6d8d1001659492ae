"""Operators on floats between DequantizeLinear and QuantizeLinear.

onnxruntime fuses each such group into the operator on integers, and so does this importer: the
QuantizeLinear behind an operator tells the scale in which its result enters the graph.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sim.golden import float32
from sim.golden.types import Float32, Int16, Int32
from systolith.frontends.onnx import integer_ops, layers, pointwise, shape_ops
from systolith.frontends.onnx.builder import Quantisation
from systolith.frontends.onnx.node import (
    Append,
    Converter,
    Node,
    positive,
    quantisation_of,
    zero_points_of,
)
from systolith.frontends.onnx.values import (
    Activation,
    Constant,
    FloatInput,
    Pending,
    Refusal,
    Shape,
    Sums,
    Weights,
)
from systolith.graph.attributes import Pair

__all__ = ["REFUSED", "dequantize", "described", "gemm", "layer", "lookup", "pending", "quantize",
           "real", "unary"]


def _plain(node: Node) -> None:
    """Refuse what newer versions of the two operators add."""
    if node.integer("block_size", 0):
        raise Refusal("scales for blocks are not possible: only one scale, or one for each channel")


def quantize(node: Node) -> Activation | Constant:
    node.expect(2, 3)
    _plain(node)
    value = node.operand(0)
    if isinstance(value, Constant):
        return _quantize_constant(node, value.array)
    scale, zero_point, unsigned = quantisation_of(node, 1, "output's")
    match value:
        case FloatInput():
            return _enter(node, value, scale, zero_point, unsigned)
        case Activation(real=True):
            bounds = shape_ops.quantised_bounds(value.low, value.high, scale, zero_point)
            return pointwise.requantise(node, value, scale, zero_point, unsigned, bounds)
        case Pending():
            bounds = shape_ops.quantised_bounds(value.low, value.high, scale, zero_point)
            try:
                return value.finish(scale, zero_point, unsigned, bounds)
            except Refusal as refusal:
                raise Refusal(f"of {value.what}, whose result it quantises: {refusal}") from refusal
        case Sums(real=True):
            return integer_ops.finish(value, scale, zero_point, unsigned)
    return node.activation(0, real=True)  # says what it is instead


def _enter(node: Node, value: FloatInput, scale: float, zero_point: int,
           unsigned: bool) -> Activation:
    """The model's float input, which the host quantises."""
    builder = node.builder
    known = builder.entered.get(value.name)
    if known is None:
        tensor = builder.enter(value.name, value.file_shape, unsigned,
                               builder.layouts[value.name])
        builder.entered[value.name] = tensor
        draft = builder.draft(tensor)
        draft.quantisation = Quantisation(scale, zero_point)
    else:
        tensor, draft = known, builder.draft(known)
        old = draft.quantisation
        if (old.scale, old.zero_point, draft.unsigned) != (scale, zero_point, unsigned):
            raise Refusal(f"the model's input {value.name} is quantised in two ways")
    return Activation(tensor, value.shape, value.order)


def _per_channel(node: Node, array: npt.NDArray[Any]
                 ) -> tuple[Float32, npt.NDArray[Any], int | None]:
    """Scales and zero points of a constant ``array``, both to be broadcast to it, and the axis."""
    scales = positive(node.constant(1, "scales"))
    zeros = (np.zeros(scales.shape, np.uint8) if node.operand(2) is None
             else node.constant(2, "zero points"))
    if zeros.size != scales.size:
        raise Refusal(f"it has {scales.size} scales and {zeros.size} zero points")
    if scales.size == 1:
        return scales.ravel(), zeros.ravel(), None
    axis = node.axis(array.ndim, 1)
    if scales.shape != (array.shape[axis],):
        raise Refusal(f"it has scales of shape {scales.shape} for axis {axis} of {array.shape}")
    return scales, zeros, axis


def _quantize_constant(node: Node, array: npt.NDArray[Any]) -> Constant:
    if array.dtype != np.float32:
        raise Refusal(f"the constant is {array.dtype}, not float32")
    scales, zeros, axis = _per_channel(node, array)
    values, unsigned = zero_points_of(zeros)
    if axis is not None:
        shape = [-1 if at == axis else 1 for at in range(array.ndim)]
        scales, values = scales.reshape(shape), values.reshape(shape)
    with np.errstate(invalid="ignore"):
        numbers = float32.quantize(array, scales, values)
    return Constant((numbers.astype(np.int64) + 128 * unsigned).astype(zeros.dtype))


def dequantize(node: Node) -> Activation | Sums | Weights:
    node.expect(2, 3)
    _plain(node)
    value = node.operand(0)
    if isinstance(value, Constant):
        array = value.array
        if array.dtype.name not in {"int8", "uint8", "int32"}:
            raise Refusal(f"the constant is {array.dtype}, not int8, uint8 or int32")
        scales, zeros, axis = _per_channel(node, array)
        if node.operand(2) is None:
            zeros = zeros.astype(array.dtype)
        if zeros.dtype != array.dtype:
            raise Refusal(f"the constant is {array.dtype} and its zero point {zeros.dtype}")
        return Weights(array, scales, zeros, axis)
    if isinstance(value, Sums):
        return integer_ops.dequantize(node, value)
    x = node.activation(0)
    scale, zero_point, unsigned = quantisation_of(node, 1, "input's")
    if node.builder.draft(x.tensor).unsigned != unsigned:
        raise Refusal("input 0 and its zero point differ in type")
    return replace(node.builder.quantised(x, scale, zero_point), real=True)


def real(node: Node, position: int) -> Activation:
    """Activation ``position``, dequantised."""
    node.activation(position, real=True)
    return shape_ops.unbounded(node, position)


def _weights(node: Node, position: int, axis: int) -> tuple[Int16, Float32]:
    """int8 weights and their scales."""
    value = node.operand(position)
    if not isinstance(value, Weights):
        raise Refusal(f"the weights (input {position}) are not a dequantised constant")
    if value.axis not in {None, axis % value.array.ndim if value.array.ndim else axis}:
        raise Refusal(f"the weights have scales along axis {value.axis} instead of {axis}")
    return layers.integers(value.array, value.zero_points, axis), value.scales


def _bias(node: Node, position: int, scale: float, scales: Float32) -> Int32 | None:
    """int32 biases: given as such, or as floats that onnxruntime quantises in the scale of the
    sums."""
    value = node.operand(position)
    if value is None:
        return None
    products = np.float32(scale) * scales
    match value:
        case Weights() if value.array.dtype == np.int32:
            if np.any(value.zero_points) or np.any(
                    np.abs(value.scales - products) > 1e-5 * products):
                raise Refusal("the biases have another scale than the sums, that of the input "
                              "times that of the weights, or a zero point")
            return np.asarray(value.array, np.int32)
        case Constant() if value.array.dtype == np.float32:
            numbers = np.rint(value.array.ravel() / products).astype(np.float64)
            if not np.all(np.abs(numbers) < 1 << 31):
                raise Refusal("the biases exceed 32 bits in the scale of the sums")
            return numbers.astype(np.int32)
    raise Refusal(f"the biases (input {position}) are not a constant of int32 or float32")


def layer(kind: layers.Kind, axis: int) -> Converter:
    """The check of a layer with weights, whose output channels are ``axis`` of the weights."""
    def check(node: Node) -> Pending:
        node.expect(2, 3)
        x = real(node, 0)
        weights, scales = _weights(node, 1, axis)
        scale, zero_point = node.builder.draft(x.tensor).quantisation.known
        found = kind(node, x, weights, scales, _bias(node, 2, scale, scales), scale=scale,
                     zero_point=zero_point)
        return Pending(described(node), found.shape, found.finish)
    return check


def described(node: Node) -> str:
    return f"{node.kind} {node.name}".strip()


def gemm(node: Node) -> Pending:
    node.expect(2, 3)
    x = real(node, 0)
    transposed = node.integer("transB", 0)
    if node.number("alpha", 1.0) != 1 or node.integer("transA", 0) or len(x.shape) != 2 or (
            node.operand(2) is not None and node.number("beta", 1.0) != 1):
        raise Refusal("only products of a matrix with alpha = beta = 1 and transA = 0 are possible")
    weights, scales = _weights(node, 1, 0 if transposed else 1)
    if weights.ndim != 2:
        raise Refusal(f"the weights have the shape {weights.shape} instead of 2 axes")
    scale, zero_point = node.builder.draft(x.tensor).quantisation.known
    layer = layers.MatMul(node, x, weights.T if transposed else weights, scales,
                          _bias(node, 2, scale, scales), scale=scale, zero_point=zero_point)
    return Pending(described(node), layer.shape, layer.finish)


def pending(node: Node, shape: Shape,
            append: Callable[[float, int, bool], Activation]) -> Pending:
    """What ``append(scale, zero_point, unsigned)`` computes, of that ``shape``, once they are
    known; ReLUs behind it bound a copy of it."""
    def finish(scale: float, zero_point: int, unsigned: bool, bounds: Pair) -> Activation:
        result = append(scale, zero_point, unsigned)
        return pointwise.requantise(node, result, scale, zero_point, unsigned, bounds)
    return Pending(described(node), shape, finish)


def unary(append: Append) -> Converter:
    """The converter of an operator of one activation."""
    def check(node: Node) -> Pending:
        node.expect(1)
        x = real(node, 0)
        return pending(node, x.shape, partial(append, node, x))
    return check


def lookup(kind: str, *names: tuple[str, float]) -> Converter:
    """The converter of a function of one number; ``names`` of attributes have their defaults."""
    def check(node: Node) -> Pending:
        node.expect(1)
        x = real(node, 0)
        attributes: dict[str, Any] = {name: node.number(name, default) for name, default in names}
        return Pending(described(node), x.shape,
                       partial(pointwise.lookup, node, x, kind, **attributes))
    return check


def _refused(reason: str) -> Converter:
    def check(node: Node) -> NoReturn:
        raise Refusal(reason)
    return check


#: Operators that no model can have here, and what to do about it.
REFUSED = {
    "BatchNormalization": _refused(
        "not supported: fold it into the convolution before it, before you quantise the model "
        "(onnxruntime.quantization.preprocess does)"),
    "ConvTranspose": _refused(
        "not supported: onnxruntime computes it in float32, so that it has no exact integers; "
        "Resize by a whole factor and a convolution can take its place"),
    "DynamicQuantizeLinear": _refused(
        "not supported: scales that depend on the input need a host; quantise statically "
        "(onnxruntime.quantization.quantize_static)"),
    "ReduceMean": _refused(
        "not supported: onnxruntime computes it in float32; GlobalAveragePool can take its place"),
}
