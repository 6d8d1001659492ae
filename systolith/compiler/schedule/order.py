"""In which order operators run, and where."""

import math

from systolith.compiler.lowering import float32_tables as float32
from systolith.compiler.lowering.pooling import MOST_CELLS, cells_of

__all__ = ["LOCAL", "on_host", "schedule"]

#: Kinds that the accelerator does not have.
LOCAL = {"LOCAL_RESPONSE_NORMALIZATION", "SOFTMAX"}


def on_host(graph, operator):
    """Whether the host computes ``operator``."""
    exact = graph.rounding == "float32"
    match operator.kind:
        case "MEAN":
            return math.prod(graph.operand(operator, 0).size) > MOST_CELLS
        case "ADD" if exact:
            return float32.total(graph, operator) is None
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
            seen = cells_of(graph, operator)
            return max(seen) > MOST_CELLS or (
                exact and operator.kind == "AVERAGE_POOL_2D"
                and any(float32.average(graph, operator, cells) is None for cells in seen))
    return operator.kind in LOCAL


def schedule(graph):
    """All operators, in an order in which they can run, with as few changes between accelerator
    and host as that allows: neither is left before all that it can do is done."""
    left, order, local = list(graph.operators), [], False
    known = {*graph.inputs, *(n for n, tensor in enumerate(graph.tensors)
                              if tensor.data is not None), -1}
    while left:
        ready = [op for op in left if on_host(graph, op) == local and known.issuperset(op.inputs)]
        if not ready:
            local = not local
            continue
        operator = ready[0]
        left.remove(operator)
        order.append(operator)
        known.update(operator.outputs)
    return order
