"""Tensors one after the other along an axis, or along one of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tflite

from sim.golden.movement import Array, join
from sim.golden.types import Int8
from systolith.compiler.lowering.concat_reshape import concatenate
from systolith.compiler.lowering.movement import no_images
from systolith.frontends.onnx import qdq, qlinear, shape_ops
from systolith.frontends.onnx.builder import Quantisation
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.pointwise import requantise
from systolith.frontends.onnx.values import Activation, Constant, Pending, in_order
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, Refusal, same_numbers
from systolith.graph import golden
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, OperatorRecord, Placement, register, unchanged

__all__: list[str] = []

#: Operands at the least and at the most; past that a file is damaged.
PARTS = 1, 1024


@dataclass(frozen=True, kw_only=True)
class Join(Attributes):
    """Along ``axis``, or the last one."""

    axis: int = -1


def _axis(graph: Graph, operator: Operator) -> int:
    """From 0 on."""
    axis: int = operator.attributes.axis
    return axis % len(graph.result(operator).shape)


def _golden(graph: Graph, operator: Operator, *parts: Int8) -> Int8:
    images = len(parts[0]) // graph.activation(operator).shape[0]
    return join(parts, _axis(graph, operator), images)


def _packed(graph: Graph, operator: Operator, *parts: Int8) -> Int8:
    axis, images = _axis(graph, operator), len(parts[0]) // graph.activation(operator).shape[0]
    shape = graph.activation(operator).shape
    shape = *shape[:axis], 1, *shape[axis:]
    return join([part.reshape(-1, *shape[1:]) for part in parts], axis, images)


def _joined(shapes: Sequence[tuple[int, ...]], axis: int) -> tuple[int, ...]:
    """The shape of tensors of ``shapes`` along ``axis``."""
    axis = axis % len(shapes[0])
    if len({(*shape[:axis], *shape[axis + 1:]) for shape in shapes}) > 1:
        raise ValueError(f"they differ in more than axis {axis}")
    return *shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1:]


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    return _joined([graph.tensors[index].shape for index in operator.activations],
                   operator.attributes.axis)


def _packed_shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    shapes = [graph.tensors[index].shape for index in operator.activations]
    axis: int = operator.attributes.axis
    if len(set(shapes)) > 1:
        raise ValueError("they are not all alike")
    return *shapes[0][:axis], len(shapes), *shapes[0][axis:]


def _channels(graph: Graph, operator: Operator) -> Channels:
    last = _axis(graph, operator) == len(graph.result(operator).shape) - 1
    return Channels.JOINED if last else Channels.SAME


def _batches(graph: Graph, operator: Operator) -> bool:
    """Joined pixels or channels, each line is a line of each operand."""
    return _axis(graph, operator) >= len(graph.result(operator).shape) - 2


def _parts(graph: Graph, operator: Operator, y: Array) -> list[Array]:
    axis = _axis(graph, operator)
    sizes = [graph.tensors[index].shape[axis] for index in operator.activations]
    return np.split(y, np.cumsum(sizes)[:-1], axis)


def _packed_parts(graph: Graph, operator: Operator, y: Array) -> list[Array]:
    return list(np.moveaxis(y, _axis(graph, operator), 0))


def _convert(node: Node) -> Join:
    node.expect(tflite.ConcatenationOptions, *PARTS)
    parts = [node.activation(position) for position in range(len(node.inputs))]
    axis, rank = node.option("Axis"), len(parts[0].shape)
    if not -rank <= axis < rank:
        raise Refusal(f"its axis {axis} is not one of {rank}")
    try:
        y = node.result(_joined([part.shape for part in parts], axis))
    except (ValueError, IndexError) as error:
        raise Refusal(f"the shapes {', '.join(str(part.shape) for part in parts)} do not fit: "
                      f"{error}") from error
    for part in parts:
        same_numbers(part, y)
    if (activation := node.fused()) != "NONE":
        raise Refusal(f"the fused activation {activation} is not possible here")
    return Join(axis=axis % rank)


def _pack(node: Node) -> Join:
    node.expect(tflite.PackOptions, *PARTS)
    parts = [node.activation(position) for position in range(len(node.inputs))]
    axis, rank = node.option("Axis"), len(parts[0].shape) + 1
    if node.option("ValuesCount") != len(parts):
        raise Refusal(f"it has {len(parts)} operands, but asks for {node.option('ValuesCount')}")
    if not -rank <= axis < rank or any(part.shape != parts[0].shape for part in parts):
        raise Refusal(f"the shapes {', '.join(str(part.shape) for part in parts)} are not all "
                      f"alike, or have no place for an axis {axis}")
    axis %= rank
    y = node.result((*parts[0].shape[:axis], len(parts), *parts[0].shape[axis:]))
    for part in parts:
        same_numbers(part, y)
    return Join(axis=axis)


def _append(node: OnnxNode, parts: list[Activation], axis: int, scale: float, zero_point: int,
            unsigned: bool) -> Activation:
    """``parts`` side by side along ``axis``, each in the scale of the result."""
    builder, shape = node.builder, parts[0].shape
    if any(len(part.shape) != len(shape) or part.shape[:axis] != shape[:axis]
           or part.shape[axis + 1:] != shape[axis + 1:] for part in parts):
        raise OnnxRefusal(f"the shapes {', '.join(str(part.shape) for part in parts)} differ in "
                          f"more than axis {axis}")
    if not PARTS[0] <= len(parts) <= PARTS[1]:
        raise OnnxRefusal(f"it has {len(parts)} operands; only {PARTS[0]} to {PARTS[1]} are "
                          "possible")
    if axis == 0:
        raise OnnxRefusal("it puts images together, of which there is one at a time")
    # Of the tensors: as all of them are, if that is one of the usual orders.
    last = next((each for each in dict.fromkeys((axis, 1, len(shape) - 1)) if all(
        np.array_equal(part.order, in_order(part.shape, each)) for part in parts)), axis)
    tensors = []
    for part in parts:
        part = requantise(node, builder.arranged(part, last), scale, zero_point, unsigned)
        tensors.append(builder.reshape(part.tensor, _inner(part.shape, last)))
    joined = (*shape[:axis], sum(part.shape[axis] for part in parts), *shape[axis + 1:])
    inner = _inner(joined, last)
    tensor = builder.append("CONCATENATION", tensors, node.outputs[0], inner, unsigned,
                            Quantisation(scale, zero_point),
                            axis=-1 if axis == last else axis - len(shape) - (axis > last))
    return builder.result(tensor, joined, last)


def _inner(shape: tuple[int, ...], last: int) -> tuple[int, ...]:
    """A tensor's ``shape`` in the file with an axis ``last``; (n, c, w) is an image of a line."""
    moved = *shape[:last], *shape[last + 1:], shape[last]
    return (moved[0], 1, *moved[1:]) if len(shape) == 3 and last == 1 else moved


def _of_any(node: OnnxNode) -> Activation | Constant | Pending:
    """Of constants, of dequantised activations, or of integers in one scale."""
    arrays = [value.array for value in node.inputs if isinstance(value, Constant)]
    if arrays and len(arrays) == len(node.inputs):
        try:
            return Constant(np.concatenate(arrays, node.axis(arrays[0].ndim)))
        except ValueError as error:
            raise OnnxRefusal(f"its constants do not fit each other: {error}") from error
    first = node.operand(0)
    real = isinstance(first, Activation) and first.real
    parts = [shape_ops.unbounded(node, position) for position in range(len(node.inputs))]
    if any(part.real != real for part in parts):
        raise OnnxRefusal("some of its operands are dequantised and some are not")
    axis = node.axis(len(parts[0].shape))
    if real:
        return qdq.pending(node, parts[0].shape, partial(_append, node, parts, axis))
    drafts = [node.builder.draft(part.tensor) for part in parts]
    (scale, zero_point, unsigned), *others = {
        (draft.quantisation.scale, draft.quantisation.zero_point, draft.unsigned)
        for draft in drafts}
    if others or scale is None or zero_point is None:
        raise OnnxRefusal("its operands are integers of different, or of unknown scales")
    return _append(node, parts, axis, scale, zero_point, unsigned)


def _of_integers(node: OnnxNode) -> Activation:
    """The result's scale and zero point come first, then three operands for each part."""
    if len(node.inputs) < 5 or (len(node.inputs) - 2) % 3 or len(node.outputs) != 1:
        raise OnnxRefusal(f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs")
    parts = [qlinear.quantised(node, position)[0] for position in range(2, len(node.inputs), 3)]
    return _append(node, parts, node.axis(len(parts[0].shape)),
                   *qlinear.quantisation_of(node, 0, "output's"))


register(
    OperatorRecord(
        kind="CONCATENATION", variadic=PARTS, attributes=Join, shape=_shape,
        complaint=golden.same_numbers, golden=dict.fromkeys(("tflm", "float32"), _golden),
        lower=concatenate, host_reason=no_images, parts=_parts, units=frozenset({"pooling"}),
        channels=_channels, select=unchanged, batches=_batches, placement=Placement.JOINED,
        tflite={"CONCATENATION": _convert}, onnx={"Concat": _of_any},
        qlinear={"QLinearConcat": _of_integers},
        writer=lambda graph, operator: ("ConcatenationOptions", {
            "axis": operator.attributes.axis}), version=2),
    OperatorRecord(
        kind="PACK", variadic=PARTS, attributes=Join, shape=_packed_shape,
        complaint=golden.same_numbers, golden=dict.fromkeys(("tflm", "float32"), _packed),
        lower=concatenate, host_reason=no_images, parts=_packed_parts,
        units=frozenset({"pooling"}), placement=Placement.JOINED, tflite={"PACK": _pack},
        writer=lambda graph, operator: ("PackOptions", {
            "axis": operator.attributes.axis, "valuesCount": len(operator.inputs)}), version=2))
