from dataclasses import replace

import numpy as np

from systolith.graph.attributes import Pair, pair_of
from systolith.graph.interpreter import run_operator
from systolith.graph.ir import Graph, Operator

__all__ = ["fuse_activations"]

BYTES = np.arange(-128, 128).astype(np.int8)


def fuse_activations(graph: Graph) -> Graph:
    """``graph`` whose operators clamp by themselves what a ReLU clamps after them.

    The ReLU must be the only reader of what it clamps, and leave scale and zero point as they are:
    then clamping twice is clamping to what the two ranges have in common.
    """
    operators = dict(enumerate(graph.operators))
    made = {op.outputs[0]: number for number, op in operators.items()}
    for number, op in enumerate(graph.operators):
        source = made.get(op.inputs[0]) if op.record.elementwise else None
        if source is None:
            continue
        before = operators[source]
        if (not before.record.clamps or op.inputs[0] in graph.outputs
                or sum(other.inputs.count(op.inputs[0]) for other in graph.operators) > 1):
            continue
        bounds = _bounds(graph, op)
        if bounds is None:
            continue
        low, high = graph.clamp(before)
        limits = pair_of(int(np.clip(bound, *bounds)) for bound in (low, high))
        operators[source] = replace(before, outputs=op.outputs,
                                    attributes=replace(before.attributes, range=limits))
        del operators[number]
        made[op.outputs[0]] = source
    return replace(graph, operators=tuple(operators.values()))


def _bounds(graph: Graph, operator: Operator) -> Pair | None:
    """Bounds between which ``operator`` leaves numbers as they are, if it does nothing but that."""
    x, y = graph.activation(operator), graph.result(operator)
    if (x.scales, x.zero_point) != (y.scales, y.zero_point):
        return None
    table = run_operator(graph, operator, {operator.inputs[0]: BYTES})
    low, high = int(table.min()), int(table.max())
    return (low, high) if np.array_equal(table, np.clip(BYTES, low, high)) else None
