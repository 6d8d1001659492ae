"""What every graph must satisfy, whoever made it: checked after each importer and each pass."""

import math
from collections.abc import Iterator

from systolith.graph.ir import Graph, ModelError, Operator, Tensor
from systolith.graph.record import Role, UnknownOperator

__all__ = ["GraphError", "verify"]

#: Types of the operands by their role, where a role has a type of its own.
DTYPES = {Role.ACTIVATION: {"int8"}, Role.WEIGHTS: {"int8"}, Role.BIAS: {"int32"}}

ROUNDINGS = ("tflm", "float32")


class GraphError(ModelError):
    """A graph that means nothing: each thing that is wrong with it, a line each."""


def verify(graph: Graph, name: str = "the graph") -> Graph:
    """``graph`` itself, if it is one: every operator has a record, attributes of its type, as many
    operands as it says, of its roles and types; tensors are there before they are read, and are
    computed once; activations are int8 with one scale; and shapes are those that operators give.

    Raises :exc:`GraphError`, which names operators and tensors, and calls the graph by its
    ``name``.
    """
    wrong = list(_of_graph(graph)) or [text for operator in graph.operators
                                       for text in _of_operator(graph, operator)]
    if wrong:
        raise GraphError("\n  ".join([f"{name} is not valid:", *wrong]))
    return graph


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
    wrong = [text for position, index in enumerate(operator.inputs)
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
    if role is Role.ACTIVATION:
        yield from _of_activation(graph, operator, index)
        return
    where = f"{operator} has {_named(graph, index)} for its {role.value}, which"
    if tensor.data is None:
        yield f"{where} must be a constant"
    elif tuple(tensor.data.shape) != tuple(tensor.shape):
        yield f"{where} is of shape {tensor.shape}, but holds {tensor.data.shape}"
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
    if not tensor.shape or min(tensor.shape) < 1:
        yield f"{where} must have an axis at least, and no empty one, not the shape {tensor.shape}"


def _of_result(graph: Graph, operator: Operator) -> Iterator[str]:
    """Shapes, and what the record itself has to say; operands and attributes are right here."""
    y = graph.result(operator)
    try:
        shape = tuple(operator.record.shape(graph, operator))
    except (IndexError, ValueError) as error:
        shapes = ", ".join(str(graph.tensors[index].shape) for index in operator.inputs
                           if index >= 0)
        yield f"{operator} cannot take operands of the shapes {shapes}: {error}"
        return
    if shape != tuple(y.shape):
        yield (f"{operator} gives the shape {shape}, but its result "
               f"{_named(graph, operator.outputs[0])} has {y.shape}")
    elif complaint := operator.record.complaint(graph, operator):
        yield f"{operator}: {complaint}"


def _named(graph: Graph, index: int) -> str:
    name = graph.tensors[index].name
    return f"tensor {index} ({name})" if name else f"tensor {index}"


def _positive(tensor: Tensor) -> bool:
    return bool(tensor.scales) and all(0 < scale < math.inf for scale in tensor.scales)
