"""Pools: means and maxima over windows."""

from dataclasses import replace
from functools import partial
from typing import Any

import tflite

from sim.golden import conv, float32, operators
from systolith.compiler.lowering import float32_tables
from systolith.compiler.lowering.pooling import MOST_CELLS, cells_of, pool, spans
from systolith.frontends.onnx import qdq, qlinear, shape_ops
from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.node import Node as OnnxNode
from systolith.frontends.onnx.node import window as onnx_window
from systolith.frontends.onnx.values import Activation
from systolith.frontends.onnx.values import Refusal as OnnxRefusal
from systolith.frontends.tflite.node import Node, same_numbers, window
from systolith.frontends.tflite.options import fused, window_options
from systolith.graph import golden
from systolith.graph.attributes import Pool
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, OperatorRecord, register, unchanged
from systolith.operators import mean

__all__: list[str] = []

GEOMETRY = "kernel", "stride", "padding"


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    x = graph.activation(operator).shape
    attributes: Pool = operator.attributes
    if len(x) != 4:
        raise ValueError("an image must have 4 axes")
    sizes = map(conv.output_size, x[1:3], attributes.kernel, attributes.stride, (1, 1),
                attributes.padding)
    return x[0], *sizes, x[3]


def _float32_arguments(graph: Graph, operator: Operator) -> dict[str, Any]:
    return {**golden.requantised(graph, operator), "offset": 128 * graph.result(operator).unsigned}


def _complaint(graph: Graph, operator: Operator) -> str:
    """Means may have a scale of their own in float32."""
    own = graph.rounding == "float32" and operator.kind == "AVERAGE_POOL_2D"
    return "" if own else golden.same_numbers(graph, operator)


def _host_reason(graph: Graph, operator: Operator) -> str:
    seen = cells_of(graph, operator)
    if max(seen) > MOST_CELLS:
        return f"a window sees {max(seen)} pixels, more than {MOST_CELLS}"
    if graph.rounding == "float32" and operator.kind == "AVERAGE_POOL_2D" and any(
            float32_tables.average(graph, operator, cells) is None for cells in seen):
        return "no single factor rounds as onnxruntime does with these scales"
    return ""


def _counts_padding(graph: Graph, operator: Operator) -> bool:
    attributes: Pool = operator.attributes
    return attributes.count_padding and any(map(any, attributes.padding))


def _batches(graph: Graph, operator: Operator) -> bool:
    """Whether windows follow each other without a rest, from one image to the next."""
    rows, _ = spans(graph, operator)
    height, lines = graph.activation(operator).shape[1], graph.result(operator).shape[1]
    return len(rows) == 1 and height == lines * operator.attributes.stride[0]


def _convert(node: Node) -> Pool:
    node.expect(tflite.Pool2DOptions, 1)
    x = node.activation(0, 4)
    kernel = node.option("FilterHeight"), node.option("FilterWidth")
    outputs, geometry = window(node, x.size, kernel)
    same_numbers(x, node.result((x.shape[0], *outputs, x.shape[3])))
    return Pool(kernel=kernel, activation=node.fused(), **geometry)


def _writer(graph: Graph, operator: Operator) -> tuple[str, dict[str, Any]]:
    attributes: Pool = operator.attributes
    height, width = attributes.kernel
    return "Pool2DOptions", {
        **window_options(operator, graph.activation(operator), attributes.kernel),
        **fused(operator), "filterHeight": height, "filterWidth": width}


def _append(node: OnnxNode, x: Activation, kind: str, unsigned: bool, quantisation: Quantisation,
            **attributes: Any) -> Activation:
    source = node.builder.image(x)
    kernel = node.integers("kernel_shape")
    outputs, geometry = onnx_window(node, x.shape[2:], kernel)
    stride, padding = geometry["stride"], geometry["padding"]
    kernel = (1,) * (2 - len(kernel)) + kernel
    if any(max(pair) >= k for pair, k in zip(padding, kernel, strict=True)):
        raise OnnxRefusal(f"the padding {padding} is not smaller than the kernel {kernel}")
    n, channels = x.shape[:2]
    tensor = node.builder.append(kind, [source], node.outputs[0], (n, *outputs, channels), unsigned,
                                 quantisation, kernel=kernel, range=FULL, stride=stride,
                                 padding=padding, **attributes)
    return node.builder.result(tensor, (n, channels, *outputs[4 - len(x.shape):]))


@shape_ops.channels_first
def _average(node: OnnxNode, x: Activation, scale: float, zero_point: int,
             unsigned: bool) -> Activation:
    """Means over windows; of those that are the whole image onnxruntime makes global ones."""
    kernel = node.integers("kernel_shape")
    if kernel == x.shape[2:]:
        _, geometry = onnx_window(node, x.shape[2:], kernel)
        if not any(map(any, geometry["padding"])):
            return mean.append(node, x, scale, zero_point, unsigned)
    return _append(node, x, "AVERAGE_POOL_2D", unsigned, Quantisation(scale, zero_point),
                   count_padding=bool(node.integer("count_include_pad", 0)))


def _maximum(node: OnnxNode) -> Activation:
    """Maxima over windows, in the scale of the operand."""
    node.expect(1, outputs=1)
    x = shape_ops.bounded(node)
    draft = node.builder.draft(x.tensor)
    return replace(_append(node, x, "MAX_POOL_2D", draft.unsigned, draft.quantisation), real=x.real)


#: What both kinds have in common.
_record = partial(
    OperatorRecord, attributes=Pool, shape=_shape, complaint=_complaint, lower=pool,
    host_reason=_host_reason, units=frozenset({"pooling"}), channels=Channels.SAME,
    select=unchanged, fills=_counts_padding,
    batches=_batches, clamps=True, writer=_writer, version=2)

register(
    _record(
        kind="AVERAGE_POOL_2D",
        golden={"tflm": golden.mapped(operators.average_pool, golden.clamped, *GEOMETRY),
                "float32": golden.mapped(float32.average_pool, _float32_arguments, *GEOMETRY,
                                         "count_padding")},
        tflite={"AVERAGE_POOL_2D": _convert}, onnx={"AveragePool": qdq.unary(_average)},
        qlinear={"QLinearAveragePool": qlinear.pool(_average)}),
    _record(
        kind="MAX_POOL_2D",
        golden=dict.fromkeys(("tflm", "float32"),
                             golden.mapped(operators.max_pool, golden.clamped, *GEOMETRY)),
        tflite={"MAX_POOL_2D": _convert}, onnx={"MaxPool": _maximum}),
)
