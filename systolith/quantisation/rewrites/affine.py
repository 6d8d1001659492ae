"""Factors and summands of channels: batch normalisations that no convolution is before, and the
normalisation of inputs."""

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from systolith.quantisation.rewrites.graph import Chain, FloatGraph, Made, attribute

__all__ = ["channels_by_convolution", "norm_into_gemm"]

Float64 = npt.NDArray[np.float64]

#: ``a * x + b``, by channel (c,).
Affine = tuple[Float64, Float64]


def channels_by_convolution(graph: FloatGraph, node: NodeProto) -> Chain | None:
    """A depthwise convolution of one pixel for operators which, one after the other, multiply
    channels of images by constants, and add constants to them."""
    found = _affine(graph, node)
    if found is None:
        return None
    x, (a, b) = found
    rank, nodes = len(graph.shape(x)), [node]
    if rank < 3:
        return None
    while (reader := graph.reader(nodes[-1].output[0])) and (further := _affine(graph, reader)):
        a, b = a * further[1][0], b * further[1][0] + further[1][1]
        nodes.append(reader)
    weights = a.reshape(-1, 1, *(1,) * (rank - 2)).astype(np.float32)
    return Chain(x, nodes, [Made("Conv", [weights, b.astype(np.float32)], {
        "group": len(a), "kernel_shape": [1] * (rank - 2)})])


def norm_into_gemm(graph: FloatGraph, node: NodeProto) -> Chain | None:
    """Other constants of a Gemm for what multiplies its results by constants, or adds them."""
    found = _affine(graph, node)
    if found is None:
        return None
    y, (a, b) = found
    before = graph.makers.get(y)
    if before is None or before.op_type != "Gemm" or graph.reader(y) is not node or (
            graph.taken(before)):
        return None
    weights = graph.constant(before.input[1])
    summand = graph.constant(before.input[2]) if len(before.input) > 2 else np.float64(0)
    if weights is None or summand is None:
        return None
    transposed = attribute(before, "transB", 0)
    weights = weights * attribute(before, "alpha", 1.0) * (a[:, None] if transposed else a)
    bias = np.broadcast_to(a * attribute(before, "beta", 1.0) * summand + b, (1, len(a)))[0]
    return Chain(before.input[0], [before, node], [Made(
        "Gemm", [weights.astype(np.float32), bias.astype(np.float32)],
        {"transA": attribute(before, "transA", 0), "transB": transposed})])


def _affine(graph: FloatGraph, node: NodeProto) -> tuple[str, Affine] | None:
    """What an operator reads, and what it does to each channel of that; None if it does something
    else."""
    if node.op_type == "BatchNormalization":
        x = node.input[0]
        arrays = [graph.constant(name) for name in node.input[1:5]]
        if any(each is None for each in arrays) or len(node.output) > 1:
            return None
        scale, shift, mean, variance = (np.asarray(each, np.float64) for each in arrays)
        a = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        return (x, (a, shift - mean * a)) if graph.shape(x) else None
    if node.op_type not in {"Add", "Sub", "Mul", "Div"}:
        return None
    numbers = [graph.constant(name) for name in node.input]
    if (numbers[0] is None) == (numbers[1] is None):
        return None
    at = 0 if numbers[0] is None else 1
    x, c = node.input[at], _by_channel(numbers[1 - at], graph.shape(node.input[at]))
    if c is None or graph.shape(node.output[0]) not in {(), graph.shape(x)}:
        return None
    one, zero = np.ones_like(c), np.zeros_like(c)
    match node.op_type:
        case "Add":
            return x, (one, c)
        case "Sub":
            return x, (one, -c) if at == 0 else (-one, c)
        case "Mul":
            return x, (c, zero)
    return (x, (1 / c, zero)) if at == 0 and c.all() else None


def _by_channel(constant: np.ndarray | None, shape: tuple[int, ...]) -> Float64 | None:
    """A ``constant`` that is added to a tensor of ``shape`` as a number for each channel; None if
    it is not alike for all pixels."""
    if constant is None or len(shape) < 2 or constant.dtype != np.float32:
        return None
    by_axis = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    if by_axis.ndim != len(shape) or by_axis.size not in {1, by_axis.shape[1]}:
        return None
    return np.broadcast_to(by_axis.ravel().astype(np.float64), shape[1])
