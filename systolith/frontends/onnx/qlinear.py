"""Operators that take and give integers with their scales."""

import numpy as np

from systolith.frontends.onnx import layers, pointwise, pools
from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.node import positive, quantisation_of
from systolith.frontends.onnx.values import Activation, Refusal, in_order

__all__ = ["CONVERTERS", "add", "concatenate"]


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


def _conv(node):
    node.expect(8, 9)
    x, scale, zero_point = quantised(node, 0)
    weights, scales = _weights(node, 3, 0)
    layer = layers.Convolution(node, x, weights, scales, _bias(node, 8), scale=scale,
                               zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 6, "output's"))


def _matmul(node):
    node.expect(8)
    x, scale, zero_point = quantised(node, 0)
    weights, scales = _weights(node, 3, -1)
    layer = layers.MatMul(node, x, weights, scales, None, scale=scale, zero_point=zero_point)
    return layer.finish(*quantisation_of(node, 6, "output's"))


def _gemm(node):
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


def add(node, a, b, scale, zero_point, unsigned, bounds=FULL):
    """The sum of the activations ``a`` and ``b``, which have scales."""
    if a.shape != b.shape:
        raise Refusal(f"shapes {a.shape} and {b.shape} differ")
    if not np.array_equal(a.order, b.order):
        raise Refusal("one of its operands was transposed and the other was not")
    builder = node.builder
    shape = builder.tensors[a.tensor].shape
    inputs = [a.tensor, builder.reshape(b.tensor, shape)]
    if len({builder.tensors[tensor].unsigned for tensor in inputs} | {unsigned}) > 1:
        raise Refusal("its operands and its result are not all int8, or all uint8")
    tensor = builder.append("ADD", inputs, node.outputs[0], shape, unsigned,
                            Quantisation(scale, zero_point), range=bounds)
    return Activation(tensor, a.shape, a.order)


def _add(node):
    node.expect(7, 8)
    (a, *_), (b, *_) = quantised(node, 0), quantised(node, 3)
    return add(node, a, b, *quantisation_of(node, 6, "output's"))


def concatenate(node, parts, axis, scale, zero_point, unsigned):
    """``parts`` side by side along ``axis``, each in the scale of the result."""
    builder, shape = node.builder, parts[0].shape
    if any(len(part.shape) != len(shape) or part.shape[:axis] != shape[:axis]
           or part.shape[axis + 1:] != shape[axis + 1:] for part in parts):
        raise Refusal(f"the shapes {', '.join(str(part.shape) for part in parts)} differ in more "
                      f"than axis {axis}")
    if not 2 <= len(parts) <= 10:
        raise Refusal(f"it has {len(parts)} operands; only 2 to 10 are possible")
    tensors = []
    for part in parts:
        if not np.array_equal(part.order, in_order(part.shape, axis)):
            raise Refusal(f"it goes along axis {axis} of {shape}; only channels, (n, c, h, w) or "
                          "the last of two axes, are possible")
        part = pointwise.requantise(node, part, scale, zero_point, unsigned)
        moved = (*part.shape[:axis], *part.shape[axis + 1:], part.shape[axis])
        tensors.append(builder.reshape(part.tensor, moved if len(shape) != 3 or axis != 1 else (
            moved[0], 1, *moved[1:])))
    width = sum(part.shape[axis] for part in parts)
    inner = builder.tensors[tensors[0]].shape[:-1]
    tensor = builder.append("CONCATENATION", tensors, node.outputs[0], (*inner, width), unsigned,
                            Quantisation(scale, zero_point))
    return builder.result(tensor, (*shape[:axis], width, *shape[axis + 1:]), axis)


def _concatenate(node):
    """The result's scale and zero point come first, then three operands for each part."""
    if len(node.inputs) < 5 or (len(node.inputs) - 2) % 3 or len(node.outputs) != 1:
        raise Refusal(f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs")
    parts = [quantised(node, position)[0] for position in range(2, len(node.inputs), 3)]
    return concatenate(node, parts, node.axis(len(parts[0].shape)),
                       *quantisation_of(node, 0, "output's"))


def _pool(function):
    def check(node):
        node.expect(5)
        x, *_ = quantised(node, 0)
        return function(node, x, *quantisation_of(node, 3, "output's"),
                        last=bool(node.integer("channels_last", 0)))
    return check


def _pointwise(kind, *names):
    def check(node):
        node.expect(4, 5)
        x, *_ = quantised(node, 0)
        attributes = {name: node.number(name, default) for name, default in names}
        return pointwise.lookup(node, x, kind, *quantisation_of(node, 3, "output's"), **attributes)
    return check


def _softmax(node):
    node.expect(5)
    x, *_ = quantised(node, 0)
    return pointwise.softmax(node, x, *quantisation_of(node, 3, "output's"))


#: Operators with scales among their operands, of the domains "" and "com.microsoft".
CONVERTERS = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearAdd": _add,
    "QLinearConcat": _concatenate,
    "QLinearGlobalAveragePool": _pool(pools.mean),
    "QLinearAveragePool": _pool(pools.average),
    "QLinearSigmoid": _pointwise("LOGISTIC"),
    "QLinearLeakyRelu": _pointwise("LEAKY_RELU", ("alpha", 0.01)),
    "QLinearSoftmax": _softmax,
}
