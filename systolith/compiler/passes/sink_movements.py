import math
from dataclasses import replace

import numpy as np

from sim.golden.types import Int32
from systolith.compiler.passes.merge_movements import moves_only
from systolith.graph.ir import Graph, Operator, make_operator
from systolith.graph.movement import Origins, origins
from systolith.operators.mean import axes_of, mean_of

__all__ = ["sink_movements"]


def sink_movements(graph: Graph) -> Graph:
    """``graph`` whose means are those of what was not transposed yet, and are moved instead: they
    are fewer numbers."""
    tensors, operators = list(graph.tensors), []
    made: dict[int, Operator] = {}
    more = max((op.index for op in graph.operators), default=0) + 1
    for op in graph.operators:
        now, before = replace(graph, tensors=tuple(tensors)), made.get(op.inputs[0])
        found = None
        if before is not None and op.kind == "MEAN" and before.kind != "RESHAPE" and (
                moves_only(now, before)):
            found = _before(now, before, op)
        if before is None or found is None:
            operators.append(op)
            made[op.outputs[0]] = op
            continue
        over, taken = found
        shape = tensors[before.inputs[0]].shape
        kept = tuple(1 if axis in over else size for axis, size in enumerate(shape))
        y = tensors[op.outputs[0]]
        tensors.append(replace(y, name=f"{y.name} before it is moved", shape=kept))
        mean = replace(op, inputs=(before.inputs[0],), outputs=(len(tensors) - 1,),
                       attributes=replace(mean_of(shape, over), range=op.attributes.range))
        moved = make_operator("MOVE", (len(tensors) - 1,), op.outputs,
                              {"origins": Origins.of(taken)}, more)
        more += 1
        operators += [mean, moved]
        made |= {mean.outputs[0]: mean, moved.outputs[0]: moved}
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


def _before(graph: Graph, movement: Operator,
            mean: Operator) -> tuple[tuple[int, ...], Int32] | None:
    """Axes of what ``movement`` takes over which the ``mean`` goes, and from which place of that
    result each of its elements comes; None if these are no whole axes."""
    shape, moved = graph.activation(movement).shape, graph.result(movement).shape
    over = axes_of(graph, mean)
    taken = np.moveaxis(origins(graph, movement), over, range(-len(over), 0))
    groups = taken.reshape(math.prod(moved) // math.prod(moved[axis] for axis in over), -1)
    places = np.stack(np.unravel_index(np.sort(groups, axis=1), shape))  # (axes, groups, cells)
    axes = tuple(np.flatnonzero(np.ptp(places[:, 0], axis=1)).tolist())
    if (not axes or 0 in axes or math.prod(shape[axis] for axis in axes) != groups.shape[1]
            or np.unique(taken).size != taken.size or len(groups) * groups.shape[1] != math.prod(
                shape)):
        return None
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    fixed = [axis for axis in range(len(shape)) if axis not in axes]
    if np.any(places[fixed] != places[fixed][..., :1]):
        return None
    coordinates = places[..., 0].copy()
    coordinates[list(axes)] = 0
    result = np.ravel_multi_index(tuple(coordinates), kept).astype(np.int32)
    return axes, result.reshape(graph.result(mean).shape)
