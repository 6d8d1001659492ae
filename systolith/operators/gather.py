"""Elements by their index, which is constant."""

from dataclasses import dataclass

import numpy as np
import tflite

from sim.golden.movement import Array
from systolith.compiler.lowering.movement import ON_CHIP
from systolith.frontends.tflite.node import Node, Refusal, constant, same_numbers
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import Role, register

__all__ = ["Gather"]


@dataclass(frozen=True, kw_only=True)
class Gather(Attributes):
    """Elements at ``indices`` along ``axis``, which becomes axes of the ``shape`` of these."""

    axis: int
    indices: tuple[int, ...]
    shape: tuple[int, ...]


def _move(graph: Graph, operator: Operator, x: Array) -> Array:
    attributes: Gather = operator.attributes
    return np.take(x, np.array(attributes.indices).reshape(attributes.shape), attributes.axis)


def _convert(node: Node) -> Gather:
    node.expect(tflite.GatherOptions, 2)
    x, indices = node.activation(0), constant(node.inputs[1], "indices", "int32").numbers
    axis = node.option("Axis")
    if not -len(x.shape) <= axis < len(x.shape):
        raise Refusal(f"its axis {axis} is not one of {len(x.shape)}")
    axis %= len(x.shape)
    if node.option("BatchDims"):
        raise Refusal("indices that differ from image to image are not possible")
    if not indices.size or indices.min() < 0 or indices.max() >= x.shape[axis]:
        raise Refusal(f"its indices are not all within {x.shape[axis]}")
    same_numbers(x, node.result((*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])))
    return Gather(axis=axis, indices=tuple(indices.ravel().tolist()), shape=indices.shape)


register(movement(
    _move, kind="GATHER", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1,
    attributes=Gather, **ON_CHIP, tflite={"GATHER": _convert},
    writer=lambda graph, operator: ("GatherOptions", {"axis": operator.attributes.axis}),
    version=2))
