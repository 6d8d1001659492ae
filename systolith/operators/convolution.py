"""Convolutions, depthwise or not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import tflite

from sim.golden import conv, float32
from sim.golden.types import Int8
from systolith.compiler.lowering.convolution import convolution
from systolith.frontends.onnx import integer_ops, qdq, qlinear
from systolith.frontends.onnx.layers import Convolution as OnnxConvolution
from systolith.frontends.tflite.layers import check_channels, weights_of
from systolith.frontends.tflite.node import Node, Refusal, window
from systolith.frontends.tflite.options import fused, window_options
from systolith.graph.attributes import Convolution
from systolith.graph.golden import Golden, clamped
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import Channels, OperatorRecord, Role, register, unchanged

__all__ = ["OPERANDS", "layer_golden"]

#: Of a layer with weights.
OPERANDS = Role.ACTIVATION, Role.WEIGHTS, Role.BIAS


def layer_golden(function: Callable[..., Int8], *geometry: str) -> Golden:
    """The golden model ``function`` with the constants of a layer with weights, and attributes that
    say its ``geometry``."""
    def run(graph: Graph, operator: Operator, x: Int8, **more: Any) -> Int8:
        y = graph.result(operator)
        return function(x, graph.weights(operator).numbers, graph.bias(operator),
                        input_zero_point=graph.activation(operator).zero_point,
                        scale=graph.rescale(operator), zero_point=y.zero_point,
                        **clamped(graph, operator), **more,
                        **{name: getattr(operator.attributes, name) for name in geometry})
    return run


def _golden(tflm: Callable[..., Int8], in_float32: Callable[..., Int8]) -> dict[str, Golden]:
    geometry = "stride", "dilation", "padding"
    return {"tflm": layer_golden(tflm, *geometry), "float32": layer_golden(in_float32, *geometry)}


def _shape(axis: int) -> Callable[[Graph, Operator], tuple[int, ...]]:
    """The shape of the result, whose channels are ``axis`` of the weights."""
    def shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
        x, weights = graph.activation(operator).shape, graph.weights(operator).shape
        if len(x) != 4 or len(weights) != 4:
            raise ValueError("image and weights must have 4 axes")
        if axis == 3 and (weights[0] != 1 or weights[3] % x[3]):
            raise ValueError(f"filters of one channel for a multiple of {x[3]} channels are needed")
        if axis == 0 and (x[3] % weights[3] or weights[0] % (x[3] // weights[3])):
            raise ValueError("the channels make no groups")
        attributes: Convolution = operator.attributes
        sizes = map(conv.output_size, x[1:3], weights[1:3], attributes.stride, attributes.dilation,
                    attributes.padding)
        return x[0], *sizes, weights[axis]
    return shape


def _convolve(node: Node, options: type, axis: int) -> tuple[Tensor, Tensor, Convolution]:
    node.expect(options, 2, 3)
    x, weights = node.activation(0, 4), weights_of(node, 4)
    dilation = node.option("DilationHFactor"), node.option("DilationWFactor")
    outputs, geometry = window(node, x.size, weights.size, dilation)
    y = node.result((x.shape[0], *outputs, weights.shape[axis]))
    check_channels(node.kind, x, weights, axis, node.optional(2), y)
    return x, weights, Convolution(dilation=dilation, activation=node.fused(), **geometry)


def _conv(node: Node) -> Convolution:
    x, weights, attributes = _convolve(node, tflite.Conv2DOptions, 0)
    groups, rest = divmod(x.shape[3], weights.shape[3])
    if rest or weights.shape[0] % groups:
        raise Refusal(f"{x.shape[3]} input channels and filters of shape {weights.shape} make no "
                      "groups")
    return attributes


def _depthwise(node: Node) -> Convolution:
    x, weights, attributes = _convolve(node, tflite.DepthwiseConv2DOptions, 3)
    multiplier = node.option("DepthMultiplier")
    if weights.shape[0] != 1 or weights.shape[3] != x.shape[3] * multiplier:
        raise Refusal(f"{x.shape[3]} input channels with multiplier {multiplier} do not give the "
                      f"weights' shape {weights.shape}")
    return attributes


def _options(graph: Graph, operator: Operator) -> dict[str, Any]:
    attributes: Convolution = operator.attributes
    kernel = graph.weights(operator).size
    return {**window_options(operator, graph.activation(operator), kernel), **fused(operator),
            "dilationHFactor": attributes.dilation[0], "dilationWFactor": attributes.dilation[1]}


def _batches(graph: Graph, operator: Operator) -> bool:
    """Whether no filter reaches from one image into the next."""
    attributes: Convolution = operator.attributes
    return (graph.weights(operator).shape[1], attributes.stride[0], attributes.padding[0]) == (
        1, 1, (0, 0))


def _padded(graph: Graph, operator: Operator) -> bool:
    return any(map(any, operator.attributes.padding))


#: What both kinds have in common.
_record = partial(
    OperatorRecord, operands=OPERANDS, optional=1, attributes=Convolution, lower=convolution,
    select=unchanged, fills=_padded, batches=_batches, clamps=True, planned=True, takes_sum=True,
    version=3)

register(
    _record(
        kind="CONV_2D", shape=_shape(0), channels=Channels.WEIGHTED,
        golden=_golden(conv.conv2d, float32.conv2d),
        tflite={"CONV_2D": _conv},
        onnx={"Conv": qdq.layer(OnnxConvolution, 0),
              "ConvInteger": integer_ops.layer(OnnxConvolution, 0)},
        qlinear={"QLinearConv": qlinear.convolution},
        writer=lambda graph, operator: ("Conv2DOptions", _options(graph, operator))),
    _record(
        kind="DEPTHWISE_CONV_2D", shape=_shape(3), channels=Channels.DEPTHWISE,
        golden=_golden(conv.depthwise_conv2d, float32.depthwise_conv2d),
        tflite={"DEPTHWISE_CONV_2D": _depthwise},
        writer=lambda graph, operator: ("DepthwiseConv2DOptions", {
            **_options(graph, operator),
            "depthMultiplier": (graph.weights(operator).shape[3]
                                // graph.activation(operator).shape[3])})),
)
