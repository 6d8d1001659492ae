"""Other shapes for the same bytes."""

import math

import numpy as np
import tflite

from sim.golden.movement import Array
from sim.golden.types import Int8
from systolith.compiler.lowering.concat_reshape import reshape
from systolith.frontends.onnx import shape_ops
from systolith.frontends.tflite.node import Node, Refusal, constant, same_numbers
from systolith.graph import golden
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import several_images
from systolith.graph.record import Channels, OperatorRecord, Placement, Role, register

__all__: list[str] = []


def _golden(graph: Graph, operator: Operator, x: Int8) -> Int8:
    return x.reshape(-1, *graph.result(operator).shape[1:])


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The file's, as long as it holds as many numbers."""
    x, y = graph.activation(operator).shape, graph.result(operator).shape
    if math.prod(x) != math.prod(y):
        raise ValueError(f"{y} holds another number of elements")
    return y


def _complaint(graph: Graph, operator: Operator) -> str:
    """An ONNX file may say later that numbers mean something else."""
    return "" if graph.rounding == "float32" else golden.same_numbers(graph, operator)


def _channels(graph: Graph, operator: Operator) -> Channels:
    x, y = graph.activation(operator).shape, graph.result(operator).shape
    whole = len(x) > 1 and x[0] == y[0] and y[-1] == math.prod(x[1:])
    return Channels.FLATTENED if whole else Channels.ALL


def _always(graph: Graph, operator: Operator) -> bool:
    return True


def _convert(node: Node) -> Attributes:
    node.expect(None, 1, 2)
    x, y = node.activation(0), node.result()
    if math.prod(x.shape) != math.prod(y.shape):
        raise Refusal(f"shapes {x.shape} and {y.shape} hold different numbers of elements")
    shapes = []  # may be given by the options, or by an operand, or by both
    if type(node.options) is tflite.ReshapeOptions and (given := node.numbers("NewShape")).size:
        shapes.append(given)
    if len(node.inputs) == 2:
        shapes.append(constant(node.inputs[1], "sizes of the new shape", "int32").numbers.ravel())
    for shape in shapes:
        if shape.size != len(y.shape) or np.any((shape != y.shape) & (shape != -1)):
            raise Refusal(f"the output has the shape {y.shape}, but {shape[:8].tolist()} is asked "
                          "for")
    same_numbers(x, y)
    return Attributes()


def _squeeze(node: Node) -> Attributes:
    """Without axes of 1, some or all."""
    node.expect(None, 1)
    return _of_ones(node)


def _expand_dims(node: Node) -> Attributes:
    node.expect(None, 2)
    constant(node.inputs[1], "axis", "int32")
    return _of_ones(node)


def _of_ones(node: Node) -> Attributes:
    """A reshaping that has other axes of 1."""
    x, y = node.activation(0), node.result()
    if [size for size in x.shape if size > 1] != [size for size in y.shape if size > 1]:
        raise Refusal(f"shapes {x.shape} and {y.shape} differ in more than axes of 1")
    same_numbers(x, y)
    return Attributes()


def _move(graph: Graph, operator: Operator, x: Array) -> Array:
    return x.reshape(graph.result(operator).shape)


register(OperatorRecord(
    kind="RESHAPE", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1, shape=_shape,
    complaint=_complaint, golden=dict.fromkeys(("tflm", "float32"), _golden), lower=reshape,
    host_reason=several_images, moves=_move,
    channels=_channels, placement=Placement.VIEW, same_bytes=_always, reads_flat=_always,
    tflite={"RESHAPE": _convert, "SQUEEZE": _squeeze, "EXPAND_DIMS": _expand_dims},
    onnx=shape_ops.MOVING,
    writer=lambda graph, operator: ("ReshapeOptions", {
        "newShape": list(graph.result(operator).shape)})))
