"""Operators that take and give integers with their scales."""

import numpy as np

from systolith.frontends.onnx import layers, pointwise
from systolith.frontends.onnx.node import positive, quantisation_of
from systolith.frontends.onnx.values import Refusal

__all__ = ["convolution", "gemm", "lookup", "matmul", "pool", "quantisation_of", "quantised",
           "unary"]


def quantised(node, position):
    """Activation ``position``, whose scale and zero point are the next operands; both too."""
    scale, zero_point, unsigned = quantisation_of(node, position + 1, f"input {position}'s")
    x = node.activation(position)
    if node.builder.tensors[x.tensor].unsigned != unsigned:
        raise Refusal(f"input {position} and its zero point differ in type")
    return node.builder.quantised(x, scale, zero_point), scale, zero_point


def _weights(node, position, axis):
    """Weights of three operands from ``position`` on: int8 and their scales."""
    array = node.constant(position, "weights")
    scales = positive(node.constant(position + 1, "weights' scales"), "weights' scale")
    zeros = np.zeros(1, array.dtype)
    if node.operand(position + 2) is not None:
        zeros = node.constant(position + 2, "weights' zero points")
    if zeros.dtype != array.dtype:
        raise Refusal(f"the weights are {array.dtype}, but their zero points are {zeros.dtype}")
    return layers.integers(array, zeros, axis if array.ndim else None), scales


def _bias(node, position):
    return None if node.operand(position) is None else node.constant(position, "biases")


def convolution(node):
    """QLinearConv."""
    node.expect(8, 9)
    x, scale, zero_point = quantised(node, 0)
    weights, scales = _weights(node, 3, 0)
    layer = layers.Convolution(node, x, weights, scales, _bias(node, 8), scale=scale,
                               zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 6, "output's"))


def matmul(node):
    """QLinearMatMul."""
    node.expect(8)
    x, scale, zero_point = quantised(node, 0)
    weights, scales = _weights(node, 3, -1)
    layer = layers.MatMul(node, x, weights, scales, None, scale=scale, zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 6, "output's"))


def gemm(node):
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


def pool(function):
    """The converter of a pool, which ``function`` appends."""
    def check(node):
        node.expect(5)
        x, *_ = quantised(node, 0)
        return function(node, x, *quantisation_of(node, 3, "output's"),
                        last=bool(node.integer("channels_last", 0)))
    return check


def unary(function, operands=4):
    """The converter of an operator of one activation, which ``function`` appends, with so many
    ``operands``."""
    def check(node):
        node.expect(operands)
        x, *_ = quantised(node, 0)
        return function(node, x, *quantisation_of(node, 3, "output's"))
    return check


def lookup(kind, *names):
    """The converter of a function of one number; ``names`` of attributes have their defaults."""
    def check(node):
        node.expect(4, 5)
        x, *_ = quantised(node, 0)
        attributes = {name: node.number(name, default) for name, default in names}
        return pointwise.lookup(node, x, kind, *quantisation_of(node, 3, "output's"), **attributes)
    return check
