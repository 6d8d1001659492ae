"""Axes in another order."""

from dataclasses import dataclass

from sim.golden.movement import Array
from systolith.compiler.lowering.movement import ON_CHIP
from systolith.frontends.tflite.node import Node, Refusal, constant, same_numbers
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import Channels, Role, register, unchanged

__all__ = ["Transpose"]


@dataclass(frozen=True, kw_only=True)
class Transpose(Attributes):
    """``order`` has, for each axis of the result, that of the operand."""

    order: tuple[int, ...]


def _move(graph: Graph, operator: Operator, x: Array) -> Array:
    return x.transpose(operator.attributes.order)


def _channels(graph: Graph, operator: Operator) -> Channels:
    order = operator.attributes.order
    return Channels.SAME if order[-1] == len(order) - 1 else Channels.ALL


def _convert(node: Node) -> Transpose:
    node.expect(None, 2)
    x, given = node.activation(0), constant(node.inputs[1], "order of axes", "int32").numbers
    rank = len(x.shape)
    order = tuple(axis % rank if -rank <= axis < rank else axis for axis in given.ravel().tolist())
    if sorted(order) != list(range(rank)):
        raise Refusal(f"{order} is not an order of {rank} axes")
    same_numbers(x, node.result(tuple(x.shape[axis] for axis in order)))
    return Transpose(order=order)


register(movement(
    _move, kind="TRANSPOSE", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1,
    attributes=Transpose, **ON_CHIP, channels=_channels, select=unchanged,
    tflite={"TRANSPOSE": _convert},
    writer=lambda graph, operator: ("TransposeOptions", {}), version=2))
