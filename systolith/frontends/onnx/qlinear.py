"""Operators that take and give integers with their scales."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden.types import Float32, Int16
from systolith.frontends.onnx import layers, pointwise
from systolith.frontends.onnx.node import Append, Converter, Node, positive, quantisation_of
from systolith.frontends.onnx.shape_ops import AppendEither
from systolith.frontends.onnx.values import Activation, Refusal

__all__ = ["convolution", "gemm", "lookup", "matmul", "pool", "quantisation_of", "quantised",
           "unary"]


def quantised(node: Node, position: int) -> tuple[Activation, float, int]:
    """Activation ``position``, whose scale and zero point are the next operands; both too."""
    scale, zero_point, unsigned = quantisation_of(node, position + 1, f"input {position}'s")
    x = node.activation(position)
    if node.builder.draft(x.tensor).unsigned != unsigned:
        raise Refusal(f"input {position} and its zero point differ in type")
    return node.builder.quantised(x, scale, zero_point), scale, zero_point


def _weights(node: Node, position: int, axis: int) -> tuple[Int16, Float32]:
    """Weights of three operands from ``position`` on: int8 and their scales."""
    array = node.constant(position, "weights")
    scales = positive(node.constant(position + 1, "weights' scales"), "weights' scale")
    zeros = np.zeros(1, array.dtype)
    if node.operand(position + 2) is not None:
        zeros = node.constant(position + 2, "weights' zero points")
    if zeros.dtype != array.dtype:
        raise Refusal(f"the weights are {array.dtype}, but their zero points are {zeros.dtype}")
    return layers.integers(array, zeros, axis), scales


def _bias(node: Node, position: int) -> npt.NDArray[Any] | None:
    return None if node.operand(position) is None else node.constant(position, "biases")


def convolution(node: Node) -> Activation:
    """QLinearConv."""
    node.expect(8, 9)
    x, scale, zero_point = quantised(node, 0)
    weights, scales = _weights(node, 3, 0)
    layer = layers.Convolution(node, x, weights, scales, _bias(node, 8), scale=scale,
                               zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 6, "output's"))


def matmul(node: Node) -> Activation:
    """QLinearMatMul."""
    node.expect(8)
    x, scale, zero_point = quantised(node, 0)
    weights, scales = _weights(node, 3, -1)
    layer = layers.MatMul(node, x, weights, scales, None, scale=scale, zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 6, "output's"))


def gemm(node: Node) -> Activation:
    """QGemm."""
    node.expect(7, 9)
    x, scale, zero_point = quantised(node, 0)
    transposed = node.integer("transB", 0)
    weights, scales = _weights(node, 3, 0 if transposed else -1)
    if node.number("alpha", 1.0) != 1 or node.integer("transA", 0) or len(x.shape) != 2:
        raise Refusal("only products of a matrix with alpha = 1 and transA = 0 are possible")
    if node.operand(7) is None:
        raise Refusal("its result is float32: give it the scale and the zero point of an int8 one")
    if weights.ndim != 2:
        raise Refusal(f"the weights have the shape {weights.shape} instead of 2 axes")
    layer = layers.MatMul(node, x, weights.T if transposed else weights, scales, _bias(node, 6),
                          scale=scale, zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 7, "output's"))


def pool(append: AppendEither) -> Converter:
    """The converter of a pool."""
    def check(node: Node) -> Activation:
        node.expect(5)
        x, *_ = quantised(node, 0)
        return append(node, x, *quantisation_of(node, 3, "output's"),
                      last=bool(node.integer("channels_last", 0)))
    return check


def unary(append: Append, operands: int = 4) -> Converter:
    """The converter of an operator of one activation, with so many ``operands``."""
    def check(node: Node) -> Activation:
        node.expect(operands)
        x, *_ = quantised(node, 0)
        return append(node, x, *quantisation_of(node, 3, "output's"))
    return check


def lookup(kind: str, *names: tuple[str, float]) -> Converter:
    """The converter of a function of one number; ``names`` of attributes have their defaults."""
    def check(node: Node) -> Activation:
        node.expect(4, 5)
        x, *_ = quantised(node, 0)
        attributes: dict[str, Any] = {name: node.number(name, default) for name, default in names}
        return pointwise.lookup(node, x, kind, *quantisation_of(node, 3, "output's"), **attributes)
    return check
