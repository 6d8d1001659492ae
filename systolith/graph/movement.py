"""Records of operators that move numbers about, which one function says all of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from sim.golden.movement import Array, origins_of, take
from sim.golden.types import Int8, Int32
from systolith.graph import golden
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import OperatorRecord

__all__ = ["Move", "Origins", "fill_of", "movement", "origins",
           "several_images"]

#: ``move(graph, operator, x)``: an array of the operand's shape as the result has it.
Move = Callable[[Graph, Operator, Array], Array]


@dataclass(frozen=True)
class Origins:
    """Places in a flat operand, of a result of ``shape``: int32 as ``data``."""

    shape: tuple[int, ...]
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, numbers: Int32) -> Self:
        return cls(numbers.shape, np.ascontiguousarray(numbers, np.int32).tobytes())

    @property
    def numbers(self) -> Int32:
        return np.frombuffer(self.data, np.int32).reshape(self.shape)


def origins(graph: Graph, operator: Operator) -> Int32:
    """Places, in the flat operand, from which ``operator`` takes each element of its result;
    :data:`~sim.golden.movement.FILL` where it has :func:`fill_of`."""
    move = operator.record.moves
    assert move is not None, f"{operator} does more than to move numbers"
    return origins_of(lambda x: move(graph, operator, x), graph.activation(operator).shape)


def fill_of(graph: Graph, operator: Operator) -> int:
    """The number that ``operator`` puts where its operand has none: zero, if it says nothing."""
    fill: int | None = getattr(operator.attributes, "fill", None)
    return graph.result(operator).zero_point if fill is None else fill


def several_images(graph: Graph, operator: Operator) -> str:
    """Why the host has to move numbers: their first axis is not that of the images, of which the
    accelerator takes one at a time. Otherwise ""."""
    shapes = [graph.tensors[index].shape for index in (*operator.activations, *operator.outputs)]
    return next((f"the first axis of {shape} is not 1" for shape in shapes if shape[0] != 1), "")


def movement(move: Move, *, host_reason: Callable[[Graph, Operator], str] = several_images,
             **fields: Any) -> OperatorRecord:
    """The record of a kind that does ``move``; ``fields`` are the others."""
    def shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
        return move(graph, operator, np.zeros(graph.activation(operator).shape, np.int8)).shape

    def run(graph: Graph, operator: Operator, x: Int8) -> Int8:
        index = origins(graph, operator)
        size = np.zeros(graph.activation(operator).shape, np.int8).size
        return take(x, size, index, fill_of(graph, operator))

    def reason(graph: Graph, operator: Operator) -> str:
        return several_images(graph, operator) or host_reason(graph, operator)

    return OperatorRecord(**{
        "shape": shape, "moves": move, "host_reason": reason, "complaint": golden.same_numbers,
        "golden": dict.fromkeys(("tflm", "float32"), run), **fields})
