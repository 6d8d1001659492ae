"""What every graph must satisfy, whoever made it: checked after each importer and each pass."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from systolith.graph import limits
from systolith.graph.attributes import Clamp
from systolith.graph.ir import Graph, ModelError, Operator, State, Tensor
from systolith.graph.record import ROUNDINGS, Channels, Role, UnknownOperator

__all__ = ["GraphError", "verify"]

#: Types of the operands by their role, where a role has a type of its own.
DTYPES = {Role.ACTIVATION: {"int8"}, Role.WEIGHTS: {"int8"}, Role.BIAS: {"int32"}}

#: Types of whole numbers.
WHOLE = (int, np.integer)

#: Most elements of a tensor: what is past it is no network that anything here could run.
MOST_ELEMENTS = 1 << 26


class GraphError(ModelError):
    """A graph that means nothing: each thing that is wrong with it, a line each."""


def verify(graph: Graph, name: str = "the graph") -> Graph:
    """``graph`` itself, if it is one: every operator has a record, attributes of its type, as many
    operands as it says, of its roles and types; tensors are there before they are read, and are
    computed once; activations are int8 with one scale; shapes are those that operators give; and
    the arithmetic can hold what it has to (:mod:`systolith.graph.limits`).

    Raises :exc:`GraphError`, which names operators and tensors, and calls the graph by its
    ``name``.
    """
    wrong = list(_of_types(graph)) or list(_of_graph(graph)) or [
        text for operator in graph.operators for text in _of_operator(graph, operator)]
    if wrong:
        raise GraphError("\n  ".join([f"{name} is not valid:", *wrong]))
    return graph


def _of_types(graph: Graph) -> Iterator[str]:
    """What is of another type than it should be, of which nothing else can be asked."""
    for name, values, wanted in (("tensors", graph.tensors, Tensor),
                                 ("operators", graph.operators, Operator)):
        if not _all_are(values, wanted):
            yield f"its {name} are not a tuple of {wanted.__name__}"
            return
    fields: list[tuple[str, Any, type | tuple[type, ...]]] = [
        ("its rounding", (graph.rounding,), str),
        ("its inputs", graph.inputs, WHOLE), ("its outputs", graph.outputs, WHOLE)]
    for index, tensor in enumerate(graph.tensors):
        where = f"of tensor {index}"
        fields += [(f"name and type {where}", (tensor.name, tensor.dtype), str),
                   (f"the shape {where}", tensor.shape, WHOLE),
                   (f"the scales {where}", tensor.scales, (int, float, np.number)),
                   (f"zero point and axis {where}", (tensor.zero_point, tensor.axis), WHOLE),
                   (f"the data {where}", (tensor.data,), (np.ndarray, type(None)))]
    for number, op in enumerate(graph.operators):
        where = f"of operator {number}"
        fields += [(f"the kind {where}", (op.kind,), str),
                   (f"the number {where}", (op.index,), WHOLE),
                   (f"the operands {where}", op.inputs, WHOLE),
                   (f"the results {where}", op.outputs, WHOLE)]
    fields.append(("the states", graph.states, State))
    fields += [(f"the state {state.name!r}", (state.initial,), np.ndarray)
               for state in graph.states if isinstance(state, State)
               ] if isinstance(graph.states, tuple) else []
    for name, values, kind in fields:
        if not _all_are(values, kind):
            yield f"{name} cannot be {values!r}"


def _all_are(values: Any, wanted: type | tuple[type, ...]) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, wanted) for value in values)


def _of_graph(graph: Graph) -> Iterator[str]:
    """Indices and order: what all else relies on."""
    count = len(graph.tensors)
    if graph.rounding not in ROUNDINGS:
        yield f"the rounding must be one of {', '.join(ROUNDINGS)}, not {graph.rounding!r}"
    for name, indices in (("input", graph.inputs), ("output", graph.outputs)):
        if not indices:
            yield f"it has no {name}s"
        for index in indices:
            if not 0 <= index < count:
                yield f"the {name} is tensor {index}, but there are {count}"
    computed, seen = {index for index in graph.inputs if 0 <= index < count}, set()
    for index in sorted(computed):
        if graph.tensors[index].data is not None:
            yield f"the input {_named(graph, index)} is a constant"
    if len(set(graph.inputs)) < len(graph.inputs):
        yield "an input is there twice"
    constants = {index for index, tensor in enumerate(graph.tensors) if tensor.data is not None}
    for operator in graph.operators:
        if operator.index in seen:
            yield f"{operator} has the number of another operator"
        seen.add(operator.index)
        for index in operator.inputs:
            if not -1 <= index < count:
                yield f"{operator} reads tensor {index}, but there are {count}"
            elif index >= 0 and index not in computed | constants:
                yield f"{operator} reads {_named(graph, index)}, which nothing has computed yet"
        for index in operator.outputs:
            if not 0 <= index < count:
                yield f"{operator} computes tensor {index}, but there are {count}"
            elif index in computed | constants:
                yield f"{operator} computes {_named(graph, index)}, which is there already"
        computed.update(operator.outputs)
    for index in graph.outputs:
        if 0 <= index < count and index not in computed:
            yield f"the output {_named(graph, index)} is computed by nothing"
    yield from _of_states(graph)


def _of_states(graph: Graph) -> Iterator[str]:
    """Whether what a run gives can be given to the next one."""
    if len(graph.states) > min(len(graph.inputs), len(graph.outputs)):
        yield f"it has {len(graph.states)} states, more than inputs or outputs"
        return
    for state, *ends in graph.kept:
        for index in ends:
            if not 0 <= index < len(graph.tensors):
                continue
            tensor, begin = graph.tensors[index], state.initial
            dtype = "uint8" if tensor.unsigned else tensor.dtype
            if dtype != begin.dtype or math.prod(tensor.shape) != begin.size:
                yield (f"the state {state.name} begins with {begin.size} numbers of type "
                       f"{begin.dtype}, but {_named(graph, index)} is {dtype}{list(tensor.shape)}")


def _of_operator(graph: Graph, operator: Operator) -> Iterator[str]:
    try:
        record = operator.record
    except UnknownOperator as error:
        yield f"operator {operator.index}: {error}"
        return
    least, most = record.counts()
    several = record.run is not None and len(operator.outputs) > 1
    if not least <= len(operator.inputs) <= most or (len(operator.outputs) != 1 and not several):
        yield (f"{operator} has {len(operator.inputs)} operands and {len(operator.outputs)} "
               f"results; {least} to {most} operands and 1 result are possible")
        return
    if type(operator.attributes) is not record.attributes:
        yield (f"{operator} has attributes of type {type(operator.attributes).__name__}, not "
               f"{record.attributes.__name__}")
        return
    if record.run is not None:  # of any type
        return
    wrong = [*_answer(operator, operator.attributes.complaint)]
    wrong += [text for position, index in enumerate(operator.inputs)
             for text in _of_operand(graph, operator, position, index)]
    wrong += _of_activation(graph, operator, operator.outputs[0])
    if graph.result(operator).data is not None:
        wrong.append(f"{operator} computes {_named(graph, operator.outputs[0])}, a constant")
    if graph.rounding not in record.golden:
        wrong.append(f"{operator} has no golden model of the rounding {graph.rounding}")
    yield from wrong
    if not wrong:
        yield from _of_result(graph, operator)


def _of_operand(graph: Graph, operator: Operator, position: int, index: int) -> Iterator[str]:
    record, role = operator.record, operator.record.role(position)
    if index < 0:
        if position < record.counts()[0]:
            yield f"{operator} lacks operand {position}, its {role.value}"
        return
    tensor = graph.tensors[index]
    where = f"{operator} has {_named(graph, index)} for its {role.value}, which"
    if tensor.data is not None:
        if tuple(tensor.data.shape) != tuple(tensor.shape):
            yield f"{where} is of shape {tensor.shape}, but holds {tensor.data.shape}"
        elif role is not Role.CONSTANT and tensor.data.dtype != tensor.dtype:
            yield f"{where} is {tensor.dtype}, but holds {tensor.data.dtype}"
    elif role is not Role.ACTIVATION:
        yield f"{where} must be a constant"
    if role is Role.ACTIVATION:
        yield from _of_activation(graph, operator, index)
        return
    if role in DTYPES and tensor.dtype not in DTYPES[role]:
        yield f"{where} must be {' or '.join(DTYPES[role])}, not {tensor.dtype}"
    if role is Role.WEIGHTS and not _positive(tensor):
        yield f"{where} must have scales that are positive and finite, not {tensor.scales[:4]}"


def _of_activation(graph: Graph, operator: Operator, index: int) -> Iterator[str]:
    tensor = graph.tensors[index]
    where = f"{_named(graph, index)} of {operator}"
    if tensor.dtype != "int8":
        yield f"{where} must be int8, not {tensor.dtype}"
    if len(tensor.scales) != 1 or not _positive(tensor):
        yield f"{where} must have one scale, positive and finite, not {tensor.scales[:4]}"
    if not -128 <= tensor.zero_point <= 127:
        yield f"{where} must have an int8 for its zero point, not {tensor.zero_point}"
    if math.prod(tensor.shape) > MOST_ELEMENTS:
        yield f"{where} must have at most {MOST_ELEMENTS} elements, not the shape {tensor.shape}"
    if not tensor.shape or min(tensor.shape) < 1:
        yield f"{where} must have an axis at least, and no empty one, not the shape {tensor.shape}"


def _of_result(graph: Graph, operator: Operator) -> Iterator[str]:
    """Shapes, and what the record itself has to say; operands and attributes are right here."""
    y = graph.result(operator)
    try:
        shape = tuple(operator.record.shape(graph, operator))
    except Exception as error:  # whatever a record makes of shapes that it does not expect
        shapes = ", ".join(str(graph.tensors[index].shape) for index in operator.inputs
                           if index >= 0)
        yield f"{operator} cannot take operands of the shapes {shapes}: {error}"
        return
    if shape != tuple(y.shape):
        yield (f"{operator} gives the shape {shape}, but its result "
               f"{_named(graph, operator.outputs[0])} has {y.shape}")
        return
    yield from _answer(operator, lambda: _of_arithmetic(graph, operator))
    yield from _answer(operator, lambda: operator.record.complaint(graph, operator))


def _of_arithmetic(graph: Graph, operator: Operator) -> str:
    """Of a fused activation, and of the sums of layers whose weights have channels."""
    if isinstance(operator.attributes, Clamp) and operator.attributes.range is None and (
            told := limits.of_bounds(operator.attributes.activation, graph.result(operator).scale)):
        return told
    channels = operator.record.channels_of(graph, operator)
    if channels not in {Channels.WEIGHTED, Channels.DEPTHWISE}:
        return ""
    weights = graph.weights(operator)
    axis = 0 if channels is Channels.WEIGHTED else len(weights.shape) - 1
    return limits.of_layer(graph.activation(operator), weights, axis,
                           graph.constant(operator, Role.BIAS),
                           lambda: graph.rescale(operator).tolist())


def _answer(operator: Operator, question: Callable[[], str]) -> Iterator[str]:
    """What there is to complain of, or how the ``question`` failed on what it did not expect."""
    try:
        complaint = question()
    except Exception as error:
        complaint = f"{type(error).__name__}: {error}"
    if complaint:
        yield f"{operator}: {complaint}"


def _named(graph: Graph, index: int) -> str:
    name = graph.tensors[index].name
    return f"tensor {index} ({name})" if name else f"tensor {index}"


def _positive(tensor: Tensor) -> bool:
    return bool(tensor.scales) and all(0 < scale < math.inf for scale in tensor.scales)
