"""What comes behind the quantised part of an .onnx file: a model of its own, which onnxruntime runs
on the host."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from systolith.graph.attributes import Foreign
from systolith.graph.file_layout import from_graph
from systolith.graph.ir import Graph, ModelError, Operator, Tensor
from systolith.references.host_runtime import HostRuntimeError, run_on_host

__all__ = ["Tail", "joined", "tail_of"]

#: Types of the tensors at which a file may be cut: of what is quantised.
QUANTISED = {TensorProto.INT8: "int8", TensorProto.UINT8: "uint8"}


@dataclass(frozen=True, kw_only=True)
class Tail:
    """A file in two: its ``head``, and the ``model`` of what depends on operators that cannot run,
    from the ``inputs`` of that, quantised tensors, to the ``outputs``; ``numbers`` and ``names``
    are those of its operators, ``reason`` why it is cut off."""

    head: ModelProto
    model: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    reason: str


def tail_of(model: ModelProto, refused: Mapping[int, str]) -> Tail | None:
    """The :class:`Tail` of a ``model`` whose ``refused`` operators cannot run, by their numbers
    with the reasons; None if what comes before them is not quantised, or nothing is left of it.

    onnxruntime fuses what lies between DequantizeLinear and QuantizeLinear: so the file is cut at
    the results of QuantizeLinear and of operators on integers alone. What is computed from such a
    tensor to where something is refused is a part of the tail, even if the head computes it too.
    """
    graph = model.graph
    made = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    constants = {tensor.name for tensor in graph.initializer}
    types = _types(model)
    tail = _behind(graph.node, refused)
    head = set(range(len(graph.node))) - tail
    inputs: dict[str, None] = {}
    waiting = [name for index in tail for name in graph.node[index].input if name]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name in constants or made.get(name) in tail:
            continue
        seen.add(name)
        if types.get(name) in QUANTISED and name in made:
            inputs[name] = None
        elif name in made:  # a float, or an integer that only the file knows
            tail.add(made[name])
            waiting += [each for each in graph.node[made[name]].input if each]
        else:  # an input of the file
            return None
    outputs = [each.name for each in graph.output if made.get(each.name) in tail]
    if not inputs or not outputs or not head:
        return None
    numbers = tuple(sorted(tail))
    kept = [each for each in graph.output if each.name not in outputs]
    given = [helper.make_tensor_value_info(name, types[name], None) for name in inputs
             if name not in {each.name for each in kept}]
    wanted = {*inputs, *(each.name for each in kept)}
    return Tail(
        head=_model(model, sorted(_needed(graph.node, head, wanted)), list(graph.input),
                    [*kept, *given]),
        model=_model(model, numbers, [helper.make_tensor_value_info(name, types[name], None)
                                      for name in inputs],
                     [each for each in graph.output if each.name in outputs]).SerializeToString(),
        inputs=tuple(inputs), outputs=tuple(outputs), numbers=numbers,
        names=tuple(graph.node[index].op_type for index in numbers),
        reason="; ".join(dict.fromkeys(refused.values())))


def _types(model: ModelProto) -> dict[str, int]:
    """Types of tensors, as far as the file tells them."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {each.name: each.type.tensor_type.elem_type
             for each in (*graph.value_info, *graph.input, *graph.output)}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:  # of the type of its zero point, wherever sizes are not known
        if node.op_type == "QuantizeLinear" and len(node.input) > 2:
            found[node.output[0]] = types.get(node.input[2], found.get(node.output[0], 0))
    return found


def _behind(nodes: Sequence[NodeProto], first: Iterable[int]) -> set[int]:
    """Numbers of the operators ``first``, and of all that depend on them."""
    found = {*first}
    names = {name for index in found for name in nodes[index].output if name}
    for index, node in enumerate(nodes):
        if index in found or names.intersection(node.input):
            found.add(index)
            names.update(name for name in node.output if name)
    return found


def _needed(nodes: Sequence[NodeProto], among: set[int], wanted: set[str]) -> set[int]:
    """Those ``among`` the operators that ``wanted`` tensors depend on."""
    found = set()
    for index in reversed(range(len(nodes))):
        if index in among and wanted.intersection(nodes[index].output):
            wanted.update(nodes[index].input)
            found.add(index)
    return found


def _model(model: ModelProto, numbers: Iterable[int], inputs: Iterable[Any],
           outputs: Iterable[Any]) -> ModelProto:
    """Some of the operators of a model, with the constants that they read."""
    cut = ModelProto()
    cut.CopyFrom(model)
    graph, nodes = cut.graph, [model.graph.node[index] for index in numbers]
    read = {name for node in nodes for name in node.input}
    constants = [each for each in model.graph.initializer if each.name in read]
    for name in ("node", "input", "output", "initializer", "value_info"):
        graph.ClearField(name)
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    return cut


def joined(graph: Graph, tail: Tail, order: Sequence[str]) -> Graph:
    """The ``graph`` of the head with the tail as an operator, its outputs in the ``order`` of the
    file.

    Sizes and types of what the tail gives are those of a run on zeros.
    """
    *rest, = (name for name in order if name not in tail.outputs)
    names = [*rest, *(name for name in tail.inputs if name not in rest)]
    places = dict(zip(names, graph.outputs, strict=True))
    inputs = tuple(places[name] for name in tail.inputs)
    zeros = [from_graph(graph.tensors[index], np.zeros(graph.tensors[index].shape, np.int8))
             for index in inputs]
    try:
        results = run_on_host(tail.model, "onnx", zeros)
    except HostRuntimeError as error:
        raise ModelError(f"the part of the model that is left to onnxruntime does not run: {error}"
                         ) from error
    first = len(graph.tensors)
    tensors = [Tensor(name=name, shape=y.shape, dtype=y.dtype.name)
               for name, y in zip(tail.outputs, results, strict=True)]
    places |= {name: first + number for number, name in enumerate(tail.outputs)}
    operator = Operator(
        kind="RUNTIME", inputs=inputs, outputs=tuple(places[name] for name in tail.outputs),
        index=max((op.index for op in graph.operators), default=-1) + 1,
        attributes=Foreign(model=tail.model, form="onnx", numbers=tail.numbers, names=tail.names,
                           reason=tail.reason))
    return replace(graph, tensors=(*graph.tensors, *tensors),
                   operators=(*graph.operators, operator),
                   outputs=tuple(places[name] for name in order))
