"""Softmax, which runs on the host."""

import math
from dataclasses import dataclass, replace

import numpy as np
import tflite

from sim.golden import float32, softmax
from sim.golden.types import Int8
from systolith.frontends.onnx import qdq, qlinear
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.pointwise import lookup
from systolith.frontends.onnx.values import Activation, in_order
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, refuse
from systolith.graph import golden, limits
from systolith.graph.attributes import Clamp
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import OperatorRecord, register

__all__ = ["Softmax"]

#: Most elements of an axis that a softmax goes over: the sum of as many exponentials fits 32 bits.
MOST_CLASSES = 4095


@dataclass(frozen=True, kw_only=True)
class Softmax(Clamp):
    """Of a softmax along the last axis."""

    beta: float = 1.0


def _tflm(graph: Graph, operator: Operator, x: Int8) -> Int8:
    return softmax.softmax(x, scale=graph.activation(operator).scale,
                           beta=operator.attributes.beta)


def _float32(graph: Graph, operator: Operator, x: Int8) -> Int8:
    arguments = golden.requantised(graph, operator)
    del arguments["input_zero_point"]
    return float32.softmax(x, **arguments)


def _limit(x: Tensor, y: Tensor, beta: float) -> str:
    if x.shape[-1] > MOST_CLASSES:
        return f"it goes over {x.shape[-1]} elements, more than {MOST_CLASSES}"
    if not 1 < beta * x.scale * (1 << 26) < math.inf:
        return f"beta {beta} and the input's scale {x.scale} are out of range"
    return limits.of_probabilities(y)


def _complaint(graph: Graph, operator: Operator) -> str:
    if graph.rounding == "float32":
        return ""
    return _limit(graph.activation(operator), graph.result(operator), operator.attributes.beta)


def _convert(node: Node) -> Softmax:
    node.expect(tflite.SoftmaxOptions, 1)
    x = node.activation(0)
    y = node.result(x.shape)
    beta = node.option("Beta")
    refuse(_limit(x, y, beta))
    return Softmax(beta=beta)


def _append(node: OnnxNode, x: Activation, scale: float, zero_point: int,
            unsigned: bool) -> Activation:
    """Along the axis that lies last in the tensor; before version 13, along all from ``axis`` on,
    which must amount to the same."""
    version = node.integer("opset", node.version)
    axis = node.axis(len(x.shape), -1 if version >= 13 else 1)
    if version < 13 and np.prod(x.shape[axis + 1:]) != 1:
        raise OnnxRefusal(f"it goes over the axes from {axis} on of {x.shape}; only one is "
                          "possible")
    if not np.array_equal(x.order, in_order(x.shape, axis)):
        raise OnnxRefusal(f"it goes along axis {axis} of {x.shape}; only channels, (n, c, h, w) or "
                          "the last of two axes, are possible")
    moved = (*x.shape[:axis], *x.shape[axis + 1:], x.shape[axis])
    if len(moved) == 3 and axis == 1:
        moved = (moved[0], 1, *moved[1:])
    x = replace(x, tensor=node.builder.reshape(x.tensor, moved))
    return lookup(node, x, "SOFTMAX", scale, zero_point, unsigned)


register(OperatorRecord(
    kind="SOFTMAX", attributes=Softmax, shape=golden.result_like,
    complaint=_complaint,
    golden={"tflm": _tflm, "float32": _float32}, tflite={"SOFTMAX": _convert},
    onnx={"Softmax": qdq.unary(_append)}, qlinear={"QLinearSoftmax": qlinear.unary(_append, 5)},
    writer=lambda graph, operator: ("SoftmaxOptions", {"beta": operator.attributes.beta}),
    version=2))
