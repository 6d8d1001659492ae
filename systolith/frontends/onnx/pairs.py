"""Neighbouring pairs of QuantizeLinear and DequantizeLinear, which onnxruntime merges into one."""

from collections import Counter

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

__all__ = ["merge_pairs"]

#: The least and the largest number of each type of a zero point.
LIMITS: dict[int, tuple[int, int]] = {TensorProto.INT8: (-128, 127), TensorProto.UINT8: (0, 255)}

#: Scale and zero point of a node, and the type of that.
Quantisation = tuple[np.float32, int, int]


def merge_pairs(model: ModelProto) -> ModelProto:
    """``model`` with one pair for two that follow each other with nothing between them, in the
    range that both have in common.

    So does onnxruntime, if each result between them is read by the next one alone, and is no
    output: then no number is rounded twice. Checked against its answers, to the byte.
    """
    done = model
    while (found := _pair(done.graph)) is not None:
        done = _merged(done, *found)
    return done


def _pair(graph: GraphProto) -> tuple[int, int, int, list[int]] | None:
    """Numbers of QuantizeLinear, DequantizeLinear, QuantizeLinear, and of those behind it."""
    made = {name: index for index, node in enumerate(graph.node) for name in node.output}
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            readers.setdefault(name, []).append(index)
    outputs = Counter(each.name for each in graph.output)
    for index, node in enumerate(graph.node):
        if node.op_type != "DequantizeLinear" or not node.input or len(node.output) != 1:
            continue
        first = made.get(node.input[0], -1)
        if first < 0 or graph.node[first].op_type != "QuantizeLinear":
            continue
        last = readers.get(node.output[0], [])
        if len(last) != 1 or graph.node[last[0]].op_type != "QuantizeLinear" or len(
                graph.node[last[0]].output) != 1:
            continue
        names = graph.node[first].output[0], node.output[0], graph.node[last[0]].output[0]
        behind = readers.get(names[2], [])
        if (len(readers[names[0]]) == 1 and not any(outputs[name] for name in names) and behind
                and all(graph.node[each].op_type == "DequantizeLinear" for each in behind)
                and _told(graph, first, index) and _told(graph, last[0], *behind)
                and _both(graph, first, last[0])):
            return first, index, last[0], behind
    return None


def _quantisation(graph: GraphProto, node: NodeProto) -> Quantisation | None:
    """That of a node whose scale and zero point are constants of one number."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    if len(node.input) < 3 or not {*node.input[1:3]} <= {*constants}:
        return None
    scale, zero = (constants[name] for name in node.input[1:3])
    if zero.data_type not in LIMITS or scale.data_type != TensorProto.FLOAT:
        return None
    numbers = numpy_helper.to_array(scale), numpy_helper.to_array(zero)
    if any(each.size != 1 for each in numbers):
        return None
    return np.float32(numbers[0].item()), int(numbers[1].item()), zero.data_type


def _told(graph: GraphProto, *indices: int) -> bool:
    """Whether nodes have the same scale and zero point."""
    told = {_quantisation(graph, graph.node[index]) for index in indices}
    return len(told) == 1 and None not in told


def _both(graph: GraphProto, *indices: int) -> bool:
    """Whether nodes have zero points of one type, and scales that are numbers."""
    told = [_quantisation(graph, graph.node[index]) for index in indices]
    return len({each[2] for each in told if each}) == 1 and all(
        each is not None and 0 < each[0] < np.inf for each in told)


def _merged(model: ModelProto, first: int, middle: int, last: int,
            behind: list[int]) -> ModelProto:
    done = ModelProto()
    done.CopyFrom(model)
    graph = done.graph
    one, other = (_quantisation(model.graph, model.graph.node[each]) for each in (first, last))
    assert one is not None and other is not None  # as _pair has seen
    scale, zero = _common(one, other)
    kind = np.int8 if one[2] == TensorProto.INT8 else np.uint8
    name = f"{graph.node[last].output[0]}, merged"
    for value, suffix in ((scale, "scale"), (kind(zero), "zero point")):
        graph.initializer.append(numpy_helper.from_array(np.array(value), f"{name} {suffix}"))
    for index in (first, *behind):
        graph.node[index].input[1:] = [f"{name} scale", f"{name} zero point"]
        graph.node[index].input[:1] = [graph.node[index].input[0] if index == first else name]
    graph.node[first].output[:] = [name]
    for index in sorted((middle, last), reverse=True):
        del graph.node[index]
    return done


def _common(one: Quantisation, other: Quantisation) -> tuple[np.float32, int]:
    """Scale and zero point of the range that both have in common, in float32."""
    low, high = LIMITS[one[2]]
    least, most = (
        bound(*((np.float32(limit - zero) * scale) for scale, zero, _ in (one, other)))
        for limit, bound in ((low, max), (high, min)))
    if (one[0], one[1]) == (other[0], other[1]):
        return one[0], one[1]
    scale = np.float32((most - least) / np.float32(high - low))
    return scale, int(np.clip(np.rint(np.float32(low) - np.float32(least / scale)), low, high))
