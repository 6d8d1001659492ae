"""Any movement: what passes make of several, and files of what has no kind of its own."""

from dataclasses import dataclass

import numpy as np

from sim.golden.movement import FILL, Array
from systolith.compiler.lowering.movement import ON_CHIP, too_many_copies
from systolith.frontends.onnx import moving
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import Origins, movement
from systolith.graph.record import register

__all__ = ["Move"]


@dataclass(frozen=True, kw_only=True)
class Move(Attributes):
    """Each element of the result is that of the flat operand at one of the ``origins``, or zero."""

    origins: Origins


def _move(graph: Graph, operator: Operator, x: Array) -> Array:
    attributes: Move = operator.attributes
    taken = attributes.origins.numbers
    return np.where(taken == FILL, x.dtype.type(FILL), x.ravel()[taken])


def _fills(graph: Graph, operator: Operator) -> bool:
    attributes: Move = operator.attributes
    return bool(np.any(attributes.origins.numbers == FILL))


def _host_reason(graph: Graph, operator: Operator) -> str:
    if _fills(graph, operator):
        return "it moves numbers and fills in others"
    return too_many_copies(graph, operator)


register(movement(_move, kind="MOVE", attributes=Move, fills=_fills,
                  **ON_CHIP | {"host_reason": _host_reason}, onnx=moving.CONVERTERS))
