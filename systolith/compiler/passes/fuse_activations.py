from dataclasses import replace

import numpy as np

from systolith.graph.interpreter import run_operator
from systolith.graph.ir import POINTWISE

__all__ = ["fuse_activations"]

#: Operators with a clamp of their own.
CLAMPING = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD",
            "AVERAGE_POOL_2D", "MAX_POOL_2D"}

BYTES = np.arange(-128, 128).astype(np.int8)


def fuse_activations(graph):
    """``graph`` whose operators clamp by themselves what a ReLU clamps after them.

    The ReLU must be the only reader of what it clamps, and leave scale and zero point as they are:
    then clamping twice is clamping to what the two ranges have in common.
    """
    operators = list(graph.operators)
    made = {op.outputs[0]: n for n, op in enumerate(operators)}
    for number, op in enumerate(graph.operators):
        source = made.get(op.inputs[0])
        if source is None or op.kind not in POINTWISE:
            continue
        before = operators[source]
        if (before.kind not in CLAMPING or op.inputs[0] in graph.outputs
                or sum(other.inputs.count(op.inputs[0]) for other in graph.operators) > 1):
            continue
        bounds = _bounds(graph, op)
        if bounds is None:
            continue
        low, high = graph.clamp(before)
        limits = tuple(int(np.clip(bound, *bounds)) for bound in (low, high))
        attributes = {name: value for name, value in before.attributes.items()
                      if name != "activation"} | {"range": limits}
        operators[source] = replace(before, outputs=op.outputs, attributes=attributes)
        operators[number] = None
        made[op.outputs[0]] = source
    return replace(graph, operators=tuple(op for op in operators if op is not None))


def _bounds(graph, operator):
    """Bounds between which ``operator`` leaves numbers as they are, if it does nothing but that."""
    x, y = graph.operand(operator, 0), graph.result(operator)
    if (x.scales, x.zero_point) != (y.scales, y.zero_point):
        return None
    table = run_operator(graph, operator, {operator.inputs[0]: BYTES})
    low, high = int(table.min()), int(table.max())
    return (low, high) if np.array_equal(table, np.clip(BYTES, low, high)) else None
