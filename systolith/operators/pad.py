"""Padding with zeros or another number."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from sim.golden import movement as golden
from sim.golden.movement import Array
from systolith.compiler.lowering.concat_reshape import pad
from systolith.compiler.lowering.movement import no_images
from systolith.frontends.onnx import moving, shape_ops
from systolith.frontends.onnx.node import LARGEST, single
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.values import Activation, Weights
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite import node as tflite_node
from systolith.frontends.tflite.node import Node, Refusal, constant, same_numbers
from systolith.graph.attributes import Pad, Sides, pair_of
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import Channels, Placement, Role, register, unchanged

__all__: list[str] = []

#: NumPy's names of how files pad.
MODES: dict[str, Any] = {"constant": "constant", "reflect": "reflect", "edge": "edge",
                         "wrap": "wrap"}

#: Most elements of a result.
MOST_ELEMENTS = 1 << 22


def _move(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.pad(x, operator.attributes.padding)


def _channels(graph: Graph, operator: Operator) -> Channels:
    attributes: Pad = operator.attributes
    same = attributes.fill is None and not any(attributes.padding[-1])
    return Channels.SAME if same else Channels.ALL


def _parts(graph: Graph, operator: Operator, y: Array) -> list[Array]:
    return [y[tuple(slice(before, size - after) for (before, after), size in zip(
        operator.attributes.padding, y.shape, strict=True))]]


def _convert(node: Node) -> Pad:
    node.expect(None, 2 + (node.kind == "PADV2"))
    x, pads = node.activation(0), constant(node.inputs[1], "paddings", "int32")
    if pads.shape != (len(x.shape), 2):
        raise Refusal(f"the paddings have the shape {pads.shape} instead of {(len(x.shape), 2)}")
    padding = tuple(map(pair_of, pads.numbers.tolist()))
    most = tflite_node.LARGEST
    if not all(0 <= value <= most for pair in padding for value in pair):
        raise Refusal(f"the paddings {padding} are not between 0 and {most}")
    same_numbers(x, node.result(tuple(size + sum(pair) for size, pair in zip(
        x.shape, padding, strict=True))))
    if node.kind == "PAD":
        return Pad(padding=padding)
    fill = constant(node.inputs[2], "fill value", "int8")
    if fill.numbers.size != 1 or len(fill.scales) != 1:
        raise Refusal(f"it has {fill.numbers.size} fill values of {len(fill.scales)} scales "
                      "instead of 1")
    same_numbers(x, fill)
    value = fill.numbers.item()
    return Pad(padding=padding, fill=None if value == x.zero_point else value)


def _fill(node: OnnxNode, real: bool) -> Any:
    """The number that a Pad puts in, which may be quantised as whatever else is."""
    fill = node.operand(2)
    match fill:
        case None:
            return np.float32(0) if real else np.int64(0)
        case Weights() if real:
            return single((fill.array.astype(np.float32) - fill.zero_points) * fill.scales, "fill")
    return single(node.constant(2, "fill"), "fill")


def _of_onnx(node: OnnxNode) -> Activation:
    x = shape_ops.bounded(node)
    mode = node.text("mode", "constant")
    if mode not in MODES:
        raise OnnxRefusal(f"the mode {mode!r} is not one of {', '.join(MODES)}")
    if node.version < 11:
        node.expect(1)
        pads, value = node.integers("pads"), np.float32(node.number("value", 0.0))
    else:
        node.expect(2, 4)
        pads = node.whole(1, "paddings")
        value = _fill(node, x.real)
    rank = len(x.shape)
    if node.operand(3) is not None:
        raise OnnxRefusal("padding of some axes is not possible: give paddings for all")
    if len(pads) != 2 * rank or not all(0 <= pad <= LARGEST for pad in pads):
        raise OnnxRefusal(f"the paddings {pads} are not {2 * rank} numbers between 0 and {LARGEST}")
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    if any(pairs[0]):
        raise OnnxRefusal(f"the paddings {pairs} pad images, of which there is one at a time")
    file_shape = tuple(size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True))
    if math.prod(file_shape) > MOST_ELEMENTS:
        raise OnnxRefusal(f"its result of shape {file_shape} is too large")
    if mode != "constant":
        return moving.moved(node, x, lambda array: np.pad(array, pairs, MODES[mode]))
    builder = node.builder
    draft = builder.draft(x.tensor)
    zero_point = draft.quantisation.zero_point
    if zero_point is None:
        zero_point = draft.quantisation.zero_point = int(value) - 128 * draft.unsigned
    if value != (0 if x.real else zero_point + 128 * draft.unsigned):
        raise OnnxRefusal(f"it pads with {value} instead of the zero point: only zeros are "
                          "possible")
    if rank not in {3, 4}:
        return moving.moved(node, x, lambda array: golden.pad(array, pairs))
    source = builder.image(x)
    draft = builder.draft(source)
    padding: Sides = ((0, 0), *((0, 0),) * (4 - rank), *pairs[2:], pairs[1])
    shape = tuple(size + sum(pair) for size, pair in zip(draft.shape, padding, strict=True))
    tensor = builder.append("PAD", [source], node.outputs[0], shape, draft.unsigned,
                            draft.quantisation, padding=padding)
    return replace(builder.result(tensor, file_shape), real=x.real)


register(movement(
    _move, kind="PAD", operands=(Role.ACTIVATION, Role.CONSTANT, Role.CONSTANT), optional=2,
    attributes=Pad, lower=pad, host_reason=no_images, parts=_parts, placement=Placement.JOINED,
    units=frozenset({"pooling"}), channels=_channels, select=unchanged,
    fills=lambda graph, operator: True,
    tflite={"PAD": _convert, "PADV2": _convert}, onnx={"Pad": _of_onnx},
    writer=lambda graph, operator: ("PadOptions", {}), version=2))
