"""Means over all pixels of an image."""

import math
from typing import Any

import tflite

from sim.golden import float32, operators
from systolith.compiler.lowering.pooling import MOST_CELLS, mean
from systolith.frontends.onnx import qdq, qlinear, shape_ops
from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.layers import check_factors
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.values import Activation
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, Refusal, constant, refuse
from systolith.graph import golden, limits
from systolith.graph.attributes import Clamp
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import Channels, Locality, OperatorRecord, Role, register

__all__ = ["append"]


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Lines and pixels are axes of 1 in the result, or not there at all."""
    x, y = graph.activation(operator).shape, graph.result(operator).shape
    if (y[0], y[-1]) != (x[0], x[-1]) or math.prod(y) != x[0] * x[-1]:
        raise ValueError(f"they do not give {y}")
    return y


def _limit(x: Tensor, y: Tensor) -> str:
    return limits.of_sums(math.prod(x.size), x.zero_point) or limits.of_factor(
        "the mean", x.scale / y.scale)


def _complaint(graph: Graph, operator: Operator) -> str:
    x, y = graph.activation(operator), graph.result(operator)
    if graph.rounding == "float32":
        return limits.of_sums(math.prod(x.size), x.zero_point)
    return _limit(x, y)


def _host_reason(graph: Graph, operator: Operator) -> str:
    cells = math.prod(graph.activation(operator).size)
    return f"it goes over {cells} pixels, more than {MOST_CELLS}" if cells > MOST_CELLS else ""


def _convert(node: Node) -> Clamp:
    node.expect(tflite.ReducerOptions, 2)
    x, axes = node.activation(0), constant(node.inputs[1], "axes", "int32").numbers.ravel()
    rank = len(x.shape)
    over = {int(axis) % rank for axis in axes if -rank <= axis < rank}
    rest = {axis for axis in range(1, rank - 1) if x.shape[axis] > 1}
    if (rank not in {3, 4} or not 0 < len(axes) == len(over)
            or not rest <= over <= {*range(1, rank - 1)}):
        raise Refusal(f"it goes over the axes {axes[:8].tolist()} of {x.shape}; only all lines and "
                      "pixels, [1, 2] of four axes or [1] of three, are possible")
    y = node.result(tuple(1 if axis in over else size for axis, size in enumerate(x.shape)
                          if axis not in over or node.option("KeepDims")))
    refuse(_limit(x, y))
    return Clamp()


def _writer(graph: Graph, operator: Operator) -> tuple[str, dict[str, Any]]:
    kept = len(graph.result(operator).shape) == len(graph.activation(operator).shape)
    return "ReducerOptions", {"keepDims": kept}


def append(node: OnnxNode, x: Activation, scale: float, zero_point: int,
           unsigned: bool) -> Activation:
    """The mean over all of an image (n, c, h, w), or (n, c, w)."""
    builder = node.builder
    source = builder.image(x)
    n, h, w, channels = builder.draft(source).shape
    input_scale, input_zero_point = builder.draft(source).quantisation.known
    if told := limits.of_sums(h * w, input_zero_point):
        raise OnnxRefusal(told)
    check_factors(input_scale / (scale * h * w))
    tensor = builder.append("MEAN", [source], node.outputs[0], (n, 1, 1, channels), unsigned,
                            Quantisation(scale, zero_point), range=FULL)
    return builder.result(tensor, (n, channels, *(1,) * (len(x.shape) - 2)))


register(OperatorRecord(
    kind="MEAN", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1, attributes=Clamp,
    shape=_shape, complaint=_complaint,
    golden={"tflm": golden.of_pixels(operators.mean, golden.input_and_result),
            "float32": golden.of_pixels(float32.mean, golden.requantised)},
    lower=mean, host_reason=_host_reason, units=frozenset({"pooling"}), channels=Channels.SAME,
    locality=Locality.LINE, tflite={"MEAN": _convert},
    onnx={"GlobalAveragePool": qdq.unary(append)},
    qlinear={"QLinearGlobalAveragePool": qlinear.pool(shape_ops.channels_first(append))},
    writer=_writer, version=2))
