"""Fully connected layers, and products with matrices of weights."""

import math
from collections.abc import Callable

import tflite

from sim.golden import conv, float32
from sim.golden.types import Int8
from systolith.compiler.lowering.convolution import convolution
from systolith.frontends.onnx import integer_ops, qdq, qlinear
from systolith.frontends.onnx.layers import MatMul
from systolith.frontends.tflite.layers import check_bias_scale, check_channels, weights_of
from systolith.frontends.tflite.node import Node, Refusal
from systolith.frontends.tflite.options import fused
from systolith.graph.attributes import Clamp
from systolith.graph.golden import Golden
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, OperatorRecord, register
from systolith.operators.convolution import OPERANDS, layer_golden

__all__: list[str] = []


def _golden(function: Callable[..., Int8]) -> Golden:
    layer = layer_golden(function)

    def run(graph: Graph, operator: Operator, x: Int8) -> Int8:
        y = layer(graph, operator, x.reshape(-1, graph.weights(operator).shape[1]))
        return y.reshape(-1, *graph.result(operator).shape[1:])
    return run


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The file's, as long as it has as many rows of as many channels."""
    x, y, weights = (graph.activation(operator).shape, graph.result(operator).shape,
                     graph.weights(operator).shape)
    rows, rest = divmod(math.prod(x), weights[1])
    if rest or y[-1] != weights[0] or math.prod(y) != rows * weights[0]:
        raise ValueError(f"they do not give {y}")
    return y


def _takes_all(graph: Graph, operator: Operator) -> bool:
    """Whether the whole image is one row, in whichever pixels it lies."""
    return math.prod(graph.activation(operator).shape) == graph.weights(operator).shape[1]


def _convert(node: Node) -> Clamp:
    node.expect(tflite.FullyConnectedOptions, 2, 3)
    x, weights = node.activation(0), weights_of(node, 2)
    if node.option("WeightsFormat") != 0:
        raise Refusal("the weights are in a shuffled format")
    cout, cin = weights.shape
    rows, rest = divmod(math.prod(x.shape), cin)
    y = node.result()
    if rest or math.prod(y.shape) != rows * cout or y.shape[-1:] != (cout,):
        raise Refusal(f"shapes {x.shape}, {weights.shape} and {y.shape} do not fit each other")
    check_channels(node.kind, x, weights, 0, node.optional(2), y)
    check_bias_scale(node.optional(2), x, weights, y)
    return Clamp(activation=node.fused())


register(OperatorRecord(
    kind="FULLY_CONNECTED", operands=OPERANDS, optional=1, attributes=Clamp, shape=_shape,
    golden={"tflm": _golden(conv.fully_connected), "float32": _golden(float32.fully_connected)},
    lower=convolution, channels=Channels.WEIGHTED, batches=lambda graph, operator: True,
    reads_flat=_takes_all, writes_flat=True, clamps=True, planned=True,
    tflite={"FULLY_CONNECTED": _convert},
    onnx={"MatMul": qdq.layer(MatMul, -1), "Gemm": qdq.gemm,
          "MatMulInteger": integer_ops.layer(MatMul, -1)},
    qlinear={"QLinearMatMul": qlinear.matmul, "QGemm": qlinear.gemm},
    writer=lambda graph, operator: ("FullyConnectedOptions", fused(operator)), version=4))
