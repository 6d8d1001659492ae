"""Means over all pixels of an image, or over any other axes but that of the images."""

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import tflite

from sim.golden import float32, operators
from sim.golden.types import Int8
from systolith.compiler.lowering.pooling import MOST_CELLS, mean
from systolith.frontends.onnx import qdq, qlinear, shape_ops
from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.layers import check_factors
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.values import Activation
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, Refusal, constant, refuse
from systolith.graph import golden, limits
from systolith.graph.attributes import Mean
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import Channels, Locality, OperatorRecord, Role, register

__all__ = ["append", "axes_of", "mean_of"]


def axes_of(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The axes that it goes over."""
    axes: tuple[int, ...] | None = operator.attributes.axes
    return tuple(range(1, len(graph.activation(operator).shape) - 1)) if axes is None else axes


def _cells(graph: Graph, operator: Operator) -> int:
    x = graph.activation(operator).shape
    return math.prod(x[axis] for axis in axes_of(graph, operator))


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The axes that it goes over are axes of 1 in the result, or not there at all."""
    x, y, over = graph.activation(operator).shape, graph.result(operator).shape, axes_of(
        graph, operator)
    left = [size for axis, size in enumerate(x) if axis not in over and (size > 1 or axis == 0)]
    if [y[0], *(size for size in y[1:] if size > 1)] != left:
        raise ValueError(f"they do not give {y}")
    return y


def _golden(function: golden.Golden, arguments: golden.Arguments) -> golden.Golden:
    """``function`` of images (n, cells, 1, rest)."""
    def run(graph: Graph, operator: Operator, x: Int8) -> Int8:
        over = axes_of(graph, operator)
        first = np.moveaxis(x, over, range(1, len(over) + 1))
        images = first.reshape(len(x), _cells(graph, operator), 1, -1)
        y = function(images, **arguments(graph, operator))
        return y.reshape(-1, *graph.result(operator).shape[1:])
    return run


def _limit(cells: int, x: Tensor, y: Tensor) -> str:
    return limits.of_sums(cells, x.zero_point) or limits.of_factor("the mean", x.scale / y.scale)


def _complaint(graph: Graph, operator: Operator) -> str:
    x, y = graph.activation(operator), graph.result(operator)
    cells = _cells(graph, operator)
    if graph.rounding == "float32":
        return limits.of_sums(cells, x.zero_point)
    return _limit(cells, x, y)


def _host_reason(graph: Graph, operator: Operator) -> str:
    cells, over = _cells(graph, operator), axes_of(graph, operator)
    rank = len(graph.activation(operator).shape)
    if operator.attributes.axes is not None and (rank != 4 or over not in {(1,), (2,)}):
        return "it goes over other axes than lines or pixels of four axes"
    return f"it goes over {cells} pixels, more than {MOST_CELLS}" if cells > MOST_CELLS else ""


def _channels(graph: Graph, operator: Operator) -> Channels:
    return Channels.SAME if operator.attributes.axes is None else Channels.ALL


def _batches(graph: Graph, operator: Operator) -> bool:
    return operator.attributes.axes is None


def _convert(node: Node) -> Mean:
    node.expect(tflite.ReducerOptions, 2)
    x, axes = node.activation(0), constant(node.inputs[1], "axes", "int32").numbers.ravel()
    rank = len(x.shape)
    over = {int(axis) % rank for axis in axes if -rank <= axis < rank}
    if not 0 < len(axes) == len(over) or 0 in over:
        raise Refusal(f"it goes over the axes {axes[:8].tolist()} of {x.shape}; only different "
                      "ones, and not the first, that of the images, are possible")
    y = node.result(tuple(1 if axis in over else size for axis, size in enumerate(x.shape)
                          if axis not in over or node.option("KeepDims")))
    refuse(_limit(math.prod(x.shape[axis] for axis in over), x, y))
    return mean_of(x.shape, over)


def mean_of(shape: tuple[int, ...], over: Collection[int]) -> Mean:
    """The attributes of a mean of ``shape`` over these axes."""
    rank = len(shape)
    rest = {axis for axis in range(1, rank - 1) if shape[axis] > 1}
    whole = rank in {3, 4} and rest <= {*over} <= {*range(1, rank - 1)}
    return Mean(axes=None if whole else tuple(sorted(over)))


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
    kind="MEAN", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1, attributes=Mean,
    shape=_shape, complaint=_complaint,
    golden={"tflm": _golden(operators.mean, golden.input_and_result),
            "float32": _golden(float32.mean, golden.requantised)},
    lower=mean, host_reason=_host_reason, units=frozenset({"pooling"}), channels=_channels,
    locality=Locality.LINE, batches=_batches, tflite={"MEAN": _convert},
    onnx={"GlobalAveragePool": qdq.unary(append)},
    qlinear={"QLinearGlobalAveragePool": qlinear.pool(shape_ops.channels_first(append))},
    writer=_writer, version=2))
