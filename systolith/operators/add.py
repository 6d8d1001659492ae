"""Sums of two tensors."""

from functools import partial
from typing import Any

import numpy as np
import tflite

from sim.golden import float32, operators
from sim.golden.requantize import quantize_multiplier
from sim.golden.types import Int8
from systolith.compiler.lowering import float32_tables
from systolith.compiler.lowering.elementwise import add
from systolith.frontends.onnx import integer_ops, qdq, qlinear
from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.values import Activation, Pending, Sums
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, Refusal, refuse
from systolith.frontends.tflite.options import fused
from systolith.graph.attributes import Clamp, Pair
from systolith.graph.golden import clamped, result_like
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import Channels, Locality, OperatorRecord, Role, register

__all__: list[str] = []


def _arguments(graph: Graph, operator: Operator) -> dict[str, Any]:
    operands = [graph.tensors[index] for index in operator.activations]
    y = graph.result(operator)
    return {"scales": [x.scale for x in operands], "zero_points": [x.zero_point for x in operands],
            "scale": y.scale, "zero_point": y.zero_point, **clamped(graph, operator)}


def _tflm(graph: Graph, operator: Operator, a: Int8, b: Int8) -> Int8:
    return operators.add(a, b, **_arguments(graph, operator))


def _float32(graph: Graph, operator: Operator, a: Int8, b: Int8) -> Int8:
    return float32.add(a, b, **_arguments(graph, operator),
                       offset=128 * graph.result(operator).unsigned)


def _complaint(graph: Graph, operator: Operator) -> str:
    a, b = (graph.tensors[index] for index in operator.activations)
    if a.shape != b.shape:
        return f"its operands have the shapes {a.shape} and {b.shape}"
    return "" if graph.rounding == "float32" else _limit(a, b, graph.result(operator))


def _limit(a: Tensor, b: Tensor, y: Tensor) -> str:
    twice = 2 * max(a.scale, b.scale)
    if quantize_multiplier(twice / ((1 << 20) * y.scale))[1] > 0:
        return f"the output's scale {y.scale} is too small for those of the inputs"
    return ""


def _host_reason(graph: Graph, operator: Operator) -> str:
    if graph.rounding == "float32" and float32_tables.total(graph, operator) is None:
        return "no table of sums rounds as onnxruntime does with these scales"
    return ""


def _convert(node: Node) -> Clamp:
    node.expect(tflite.AddOptions, 2)
    a, b = node.activation(0), node.activation(1)
    if a.shape != b.shape:
        raise Refusal(f"shapes {a.shape} and {b.shape} differ")
    refuse(_limit(a, b, node.result(a.shape)))
    return Clamp(activation=node.fused())


def _append(node: OnnxNode, a: Activation, b: Activation, scale: float, zero_point: int,
            unsigned: bool, bounds: Pair = FULL) -> Activation:
    """The sum of the activations ``a`` and ``b``, which have scales."""
    if a.shape != b.shape:
        raise OnnxRefusal(f"shapes {a.shape} and {b.shape} differ")
    if not np.array_equal(a.order, b.order):
        raise OnnxRefusal("one of its operands was transposed and the other was not")
    builder = node.builder
    shape = builder.draft(a.tensor).shape
    inputs = [a.tensor, builder.reshape(b.tensor, shape)]
    if len({builder.draft(tensor).unsigned for tensor in inputs} | {unsigned}) > 1:
        raise OnnxRefusal("its operands and its result are not all int8, or all uint8")
    tensor = builder.append("ADD", inputs, node.outputs[0], shape, unsigned,
                            Quantisation(scale, zero_point), range=bounds)
    return Activation(tensor, a.shape, a.order)


def _of_floats(node: OnnxNode) -> Pending | Sums:
    if any(isinstance(value, Sums) for value in node.inputs):
        return integer_ops.add(node)
    node.expect(2)
    a, b = qdq.real(node, 0), qdq.real(node, 1)
    if a.shape != b.shape:
        raise OnnxRefusal(f"shapes {a.shape} and {b.shape} differ")
    return Pending(qdq.described(node), a.shape, partial(_append, node, a, b))


def _of_integers(node: OnnxNode) -> Activation:
    node.expect(7, 8)
    (a, *_), (b, *_) = qlinear.quantised(node, 0), qlinear.quantised(node, 3)
    return _append(node, a, b, *qlinear.quantisation_of(node, 6, "output's"))


register(OperatorRecord(
    kind="ADD", operands=(Role.ACTIVATION, Role.ACTIVATION), attributes=Clamp, shape=result_like,
    complaint=_complaint, golden={"tflm": _tflm, "float32": _float32}, lower=add,
    host_reason=_host_reason, units=frozenset({"addition"}), channels=Channels.SAME,
    locality=Locality.ELEMENT, clamps=True, sums=True, tflite={"ADD": _convert},
    onnx={"Add": _of_floats},
    qlinear={"QLinearAdd": _of_integers},
    writer=lambda graph, operator: ("AddOptions", fused(operator)), version=2))
