import math
from dataclasses import replace

import numpy as np

from sim.golden.types import Int8, Int32
from systolith.compiler.lowering.movement import same_channels
from systolith.compiler.passes.merge_movements import moves_only
from systolith.graph.ir import Graph, Operator, Tensor, make_operator
from systolith.graph.movement import origins
from systolith.graph.record import Role

__all__ = ["fold_movements"]


def fold_movements(graph: Graph) -> Graph:
    """``graph`` whose layers take their operands in the order in which these are before they are
    moved: their weights are in that order.

    A fully connected layer takes all elements of an image, in any order; a convolution the channels
    of its pixels. What is left out has weights of 0, as long as that is no more than there are.
    """
    tensors, operators = list(graph.tensors), []
    made = {op.outputs[0]: op for op in graph.operators}
    more = max((op.index for op in graph.operators), default=0) + 1
    for op in graph.operators:
        found = None
        if op.kind == "FULLY_CONNECTED":
            found = _flat(graph, op, made)
        elif op.kind == "CONV_2D":
            found = _channels(graph, op, made)
        if found is None:
            operators.append(op)
            continue
        source, weights = found
        x = graph.activation(op)
        if op.kind == "FULLY_CONNECTED" and graph.tensors[source].shape != x.shape:
            size = math.prod(graph.tensors[source].shape)
            tensors.append(replace(x, name=f"{x.name} in order", shape=(1, size)))
            operators.append(make_operator("RESHAPE", (source,), (len(tensors) - 1,), {}, more))
            more, source = more + 1, len(tensors) - 1
        tensors.append(_with(graph.weights(op), weights))
        position = op.record.position(Role.WEIGHTS)
        operators.append(replace(op, inputs=tuple(
            source if at == 0 else len(tensors) - 1 if at == position else index
            for at, index in enumerate(op.inputs))))
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


def _with(weights: Tensor, data: Int8) -> Tensor:
    return replace(weights, shape=data.shape, data=data)


def _spread(weights: Int8, taken: Int32, size: int) -> Int8 | None:
    """``weights`` whose last axis is of ``size`` elements, of which they have been those that are
    ``taken``; None if one is taken twice, or if fewer are than not."""
    if len(np.unique(taken)) < taken.size or size > 2 * taken.size:
        return None
    spread = np.zeros((*weights.shape[:-1], size), np.int8)
    spread[..., taken] = weights
    return spread


def _flat(graph: Graph, operator: Operator, made: dict[int, Operator]) -> tuple[int, Int8] | None:
    """The tensor that a fully connected layer could read, and its weights for that."""
    weights = graph.weights(operator).numbers
    index, found = operator.inputs[0], None
    taken = np.arange(weights.shape[1])
    if math.prod(graph.tensors[index].shape) != taken.size:
        return None
    while (before := made.get(index)) is not None and moves_only(graph, before):
        taken, index = origins(graph, before).ravel()[taken], before.inputs[0]
        shape = graph.tensors[index].shape
        spread = _spread(weights, taken, math.prod(shape))
        if before.kind != "RESHAPE" and spread is not None and shape[0] == 1:
            found = index, spread
    return found


def _channels(graph: Graph, operator: Operator,
              made: dict[int, Operator]) -> tuple[int, Int8] | None:
    """The tensor that a convolution could read, and its weights for that: pixels stay where they
    are."""
    before, weights = made.get(operator.inputs[0]), graph.weights(operator).numbers
    if before is None or not moves_only(graph, before):
        return None
    source, x = graph.activation(before).shape, graph.activation(operator).shape
    taken = origins(graph, before)
    if source[:-1] != x[:-1] or weights.shape[-1] != x[-1] or not np.array_equal(
            taken.reshape(-1, x[-1])[:, 0] // source[-1], np.arange(math.prod(x[:-1]))):
        return None
    channels = same_channels(taken, source[-1])
    if channels is None:
        return None
    spread = _spread(weights, np.array(channels, np.int32), source[-1])
    return None if spread is None else (before.inputs[0], spread)
