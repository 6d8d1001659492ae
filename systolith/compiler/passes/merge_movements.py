import math
from dataclasses import replace

import numpy as np

from sim.golden.movement import FILL
from sim.golden.types import Int32
from systolith.compiler.layout.views import image_of, view_of
from systolith.compiler.lowering.movement import same_channels
from systolith.graph.golden import same_numbers
from systolith.graph.ir import Graph, Operator, make_operator
from systolith.graph.movement import Origins, origins

__all__ = ["merge_movements", "moves_only"]


def merge_movements(graph: Graph) -> Graph:
    """``graph`` with one movement in place of several, where that is less work: where together they
    leave all as it is, give what lies in the memory of their operand, or exchange channels within
    each pixel; or where what is between them has another first axis than that of the images."""
    operators = [_reshaping(graph, op) or op for op in graph.operators]
    made = {op.outputs[0]: op for op in operators}
    for number, op in enumerate(operators):
        if not moves_only(graph, op):
            continue
        taken, chain = origins(graph, op), [op]
        best = None
        while (before := made.get(chain[-1].inputs[0])) is not None and moves_only(graph, before):
            chain.append(before)
            taken = origins(graph, before).ravel()[taken]
            if _gains(graph, chain, taken):
                best = before.inputs[0], taken
        if best is not None:
            operators[number] = made[op.outputs[0]] = _moved(graph, op, *best)
    return replace(graph, operators=tuple(operators))


def _reshaping(graph: Graph, operator: Operator) -> Operator | None:
    """``operator`` as the RESHAPE that it is, if it is one: a movement that leaves all numbers in
    their order, or what joins one operand alone."""
    record = operator.record
    x, y = graph.activation(operator), graph.result(operator)
    if operator.kind == "RESHAPE" or math.prod(x.shape) != math.prod(y.shape):
        return None
    in_order = np.arange(math.prod(x.shape))
    alone = record.parts is not None and len(operator.activations) == 1
    if alone or moves_only(graph, operator) and np.array_equal(
            origins(graph, operator).ravel(), in_order):
        return make_operator("RESHAPE", operator.activations, operator.outputs, {}, operator.index)
    return None


def moves_only(graph: Graph, operator: Operator) -> bool:
    """Whether ``operator`` does nothing but to move numbers, and fills in none."""
    record = operator.record
    return (record.moves is not None and record.parts is None
            and not record.fills(graph, operator) and not same_numbers(graph, operator))


def _gains(graph: Graph, chain: list[Operator], taken: Int32) -> bool:
    """Whether one movement is better than a ``chain`` of them, the last one first."""
    if all(op.kind == "RESHAPE" for op in chain):
        return True
    ends = graph.activation(chain[-1]).shape, graph.result(chain[0]).shape
    if all(shape[0] == 1 for shape in ends) and any(
            graph.result(op).shape[0] != 1 for op in chain[1:]):
        return True
    size = math.prod(ends[0])
    return (np.array_equal(taken.ravel(), np.arange(size))
            or view_of(taken, image_of(ends[0], 1)) is not None
            or len(chain) > 1 and same_channels(taken, ends[0][-1]) is not None)


def _moved(graph: Graph, operator: Operator, source: int, taken: Int32) -> Operator:
    """``operator`` with what it gives as a movement of ``source``."""
    assert taken.min() != FILL
    kind = "MOVE"
    if np.array_equal(taken.ravel(), np.arange(math.prod(graph.tensors[source].shape))):
        kind = "RESHAPE"
    return make_operator(kind, (source,), operator.outputs,
                         {"origins": Origins.of(taken)} if kind == "MOVE" else {}, operator.index)
