"""Functions of one number at a time: activation functions, and the change of a scale.

Each is a table of 256 entries, which follows from its golden model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tflite

from sim.golden import float32, pointwise
from systolith.compiler.lowering.elementwise import function
from systolith.frontends.onnx import qdq, qlinear, shape_ops
from systolith.frontends.tflite.node import Node, Refusal, refuse
from systolith.graph import golden, limits
from systolith.graph.attributes import Attributes, Clamp
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import Channels, Locality, OperatorRecord, register, unchanged

__all__ = ["LeakyRelu"]

Converter = Callable[[Node], Attributes]

#: What there may be beside int8.
ENDS = ("convert the whole model to int8; only its inputs and outputs may be float32 or uint8, "
        "with a QUANTIZE or DEQUANTIZE next to them")


@dataclass(frozen=True, kw_only=True)
class LeakyRelu(Clamp):
    """What is negative is multiplied by ``alpha``."""

    alpha: float


#: A complaint about an input, the result and the attributes of an operator, or "".
Limit = Callable[[Tensor, Tensor, Any], str]


def _fixed_point(x: Tensor) -> str:
    """About a function that is computed with 4 integer bits."""
    if not 2.0 ** -27 <= x.scale < 1 << 34:
        return f"the input's scale {x.scale} is out of range"
    return ""


def _logistic(x: Tensor, y: Tensor, attributes: Clamp) -> str:
    return _fixed_point(x) or limits.of_probabilities(y)


def _tanh(x: Tensor, y: Tensor, attributes: Clamp) -> str:
    return _fixed_point(x) or limits.of_parts(y, 128, 0)


def _hard_swish(x: Tensor, y: Tensor, attributes: Clamp) -> str:
    factor = x.scale / 128 / y.scale
    if not 2.0 ** -31 <= factor < 1 or not 2.0 ** -31 < x.scale < 1 << 14:
        return (f"what is large is rescaled by {128 * factor}, but only factors below 128 are "
                "possible")
    return ""


def _relu(x: Tensor, y: Tensor, attributes: Clamp) -> str:
    return limits.of_factor("what is positive", x.scale / y.scale)


def _bounded(kind: str) -> Limit:
    def limit(x: Tensor, y: Tensor, attributes: Clamp) -> str:
        return limits.of_same(x, y) or limits.of_bounds(kind, x.scale)
    return limit


def _requantised(x: Tensor, y: Tensor, attributes: Clamp) -> str:
    return limits.of_factor("each number", x.scale / y.scale)


def _leaky_relu(x: Tensor, y: Tensor, attributes: LeakyRelu) -> str:
    alpha = attributes.alpha
    if not alpha >= 0:
        return f"alpha is {alpha}, but only factors from 0 on are possible"
    return limits.of_factor("what is positive", x.scale / y.scale) or limits.of_factor(
        "what is negative", x.scale * alpha / y.scale)


def _within(limit: Limit) -> Converter:
    """The converter of an operator without options."""
    def convert(node: Node) -> Clamp:
        node.expect(None, 1)
        x = node.activation(0)
        refuse(limit(x, node.result(x.shape), Clamp()))
        return Clamp()
    return convert


def _quantize(node: Node) -> Attributes:
    """From int8 to int8; either may be an end of the model that is uint8."""
    node.expect(None, 1)
    x, y = node.inputs[0], node.outputs[0]
    if x is not None and {x.dtype, y.dtype} != {"int8"}:
        raise Refusal(f"from {x.dtype} to {y.dtype} it is not supported: {ENDS}")
    node = replace(node, inputs=(x and replace(x, unsigned=False),),
                   outputs=(replace(y, unsigned=False),))
    return _within(_requantised)(node)


def _dequantize(node: Node) -> Attributes:
    raise Refusal(ENDS)


def _leaky(node: Node) -> LeakyRelu:
    node.expect(tflite.LeakyReluOptions, 1)
    x = node.activation(0)
    attributes = LeakyRelu(alpha=node.option("Alpha"))
    refuse(_leaky_relu(x, node.result(x.shape), attributes))
    return attributes


def _same_bytes(graph: Graph, operator: Operator) -> bool:
    """Whether a QUANTIZE leads to the scale that it comes from."""
    x, y = graph.activation(operator), graph.result(operator)
    return (x.scales, x.zero_point) == (y.scales, y.zero_point) and (
        operator.attributes.range in {None, (-128, 127)})


def _writer(graph: Graph, operator: Operator) -> tuple[str, dict[str, Any]]:
    return "NONE", {}


def _activation(kind: str, tflm: golden.Golden, limit: Limit, *,
                convert: Converter | None = None, in_float32: golden.Golden | None = None,
                also: Mapping[str, Converter] | None = None, **fields: Any) -> OperatorRecord:
    """The record of a function of one number, whose name is that of TensorFlow Lite, with the
    ``limit`` of its arithmetic and other ``fields``; ``also`` are converters of operators of other
    names."""
    def complaint(graph: Graph, operator: Operator) -> str:
        if graph.rounding == "float32":
            return ""
        return limit(graph.activation(operator), graph.result(operator), operator.attributes)

    return OperatorRecord(
        kind=kind, shape=golden.result_like, complaint=complaint,
        golden={"tflm": tflm} | ({"float32": in_float32} if in_float32 else {}),
        lower=function,
        # A mere clamp is a copy by the pooling unit.
        units=frozenset({"addition", "pooling"}), channels=Channels.SAME, locality=Locality.ELEMENT,
        select=unchanged, tflite={kind: convert or _within(limit), **(also or {})},
        **{"attributes": Clamp, "writer": _writer, **fields})


def _in_float32(function_: golden.Golden, *names: str) -> golden.Golden:
    return golden.mapped(function_, golden.requantised, *names)


register(
    _activation("LOGISTIC", golden.of_input(pointwise.logistic), _logistic, version=2,
                in_float32=_in_float32(float32.logistic),
                onnx={"Sigmoid": qdq.lookup("LOGISTIC")},
                qlinear={"QLinearSigmoid": qlinear.lookup("LOGISTIC")}),
    _activation("TANH", golden.of_input(pointwise.tanh), _tanh),
    _activation("HARD_SWISH", golden.between_scales(pointwise.hard_swish), _hard_swish),
    _activation("RELU", golden.between_scales(pointwise.relu), _relu),
    _activation("RELU6", golden.of_input(partial(pointwise.clamp, activation="RELU6")),
                _bounded("RELU6")),
    _activation("RELU_N1_TO_1",
                golden.of_input(partial(pointwise.clamp, activation="RELU_N1_TO_1")),
                _bounded("RELU_N1_TO_1")),
    _activation("LEAKY_RELU", golden.between_scales(pointwise.leaky_relu, "alpha"), _leaky_relu,
                convert=_leaky, attributes=LeakyRelu, version=2,
                in_float32=_in_float32(float32.leaky_relu, "alpha"),
                onnx={"LeakyRelu": qdq.lookup("LEAKY_RELU", ("alpha", 0.01))},
                qlinear={"QLinearLeakyRelu": qlinear.lookup("LEAKY_RELU", ("alpha", 0.01))},
                writer=lambda graph, operator: ("LeakyReluOptions", {
                    "alpha": operator.attributes.alpha})),
    _activation("QUANTIZE", golden.between_scales(pointwise.requantise), _requantised,
                convert=_quantize,
                in_float32=_in_float32(float32.requantise), same_bytes=_same_bytes,
                also={"DEQUANTIZE": _dequantize},
                onnx={"QuantizeLinear": qdq.quantize, "DequantizeLinear": qdq.dequantize,
                      "Relu": shape_ops.clamp, "Clip": shape_ops.clamp}),
)
