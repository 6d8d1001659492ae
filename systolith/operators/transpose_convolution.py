"""Transposed convolutions."""

from typing import Any

import tflite

from sim.golden import conv
from sim.golden.types import Int8
from systolith.compiler.lowering.transposed_convolution import transposed
from systolith.frontends.tflite.layers import check_channels, weights_of
from systolith.frontends.tflite.node import Node, Refusal, constant, window
from systolith.frontends.tflite.options import fused, window_options
from systolith.graph.attributes import Window
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, OperatorRecord, Role, register, unchanged
from systolith.operators.convolution import layer_golden

__all__: list[str] = []


def _golden(graph: Graph, operator: Operator, x: Int8) -> Int8:
    run = layer_golden(conv.transpose_conv2d, "stride", "padding")
    return run(graph, operator, x, size=graph.result(operator).size)


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Sizes are the file's to choose, as long as the convolution that this one transposes leads
    back to those of the input."""
    x, y = graph.activation(operator).shape, graph.result(operator).shape
    weights = graph.weights(operator).shape
    attributes: Window = operator.attributes
    if len(x) != 4 or len(y) != 4 or len(weights) != 4 or weights[3] != x[3]:
        raise ValueError("image and weights must have 4 axes, and as many channels")
    sizes = tuple(map(conv.output_size, y[1:3], weights[1:3], attributes.stride, (1, 1),
                      attributes.padding))
    if sizes != tuple(x[1:3]):
        raise ValueError(f"the convolution that it transposes leads to {sizes}")
    return x[0], *y[1:3], weights[0]


def _convert(node: Node) -> Window:
    """Of its shape, the reference takes the output's; elsewhere the first operand counts."""
    node.expect(tflite.TransposeConvOptions, 3, 4)
    shape = constant(node.inputs[0], "sizes of the output", "int32").numbers
    weights, x = weights_of(node, 4), node.activation(2, 4)
    if shape.shape != (4,):
        raise Refusal(f"the sizes of the output have the shape {shape.shape} instead of (4,)")
    y = node.result(tuple(shape.tolist()))
    if weights.shape[3] != x.shape[3] or y.shape != (x.shape[0], *y.shape[1:3], weights.shape[0]):
        raise Refusal(f"shapes {x.shape}, {weights.shape} and {y.shape} do not fit each other")
    size, geometry = window(node, y.size, weights.size)
    if size != x.size:
        raise Refusal(f"the convolution that it transposes leads to {size}, but the input is "
                      f"{x.size}")
    check_channels(node.kind, x, weights, 0, node.optional(3), y)
    return Window(activation=node.fused(), **geometry)


def _writer(graph: Graph, operator: Operator) -> tuple[str, dict[str, Any]]:
    kernel = graph.weights(operator).size  # the window goes over the result
    return "TransposeConvOptions", {
        **window_options(operator, graph.result(operator), kernel), **fused(operator)}


register(OperatorRecord(
    kind="TRANSPOSE_CONV", operands=(Role.CONSTANT, Role.WEIGHTS, Role.ACTIVATION, Role.BIAS),
    optional=1, attributes=Window, shape=_shape, golden={"tflm": _golden}, lower=transposed,
    channels=Channels.WEIGHTED, select=unchanged, fills=lambda graph, operator: True, clamps=True,
    tflite={"TRANSPOSE_CONV": _convert}, writer=_writer,
    version=4))
