"""Some of the elements along each axis: slices, parts, and all of them backwards."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tflite

from sim.golden.movement import Array
from systolith.compiler.lowering.movement import ON_CHIP
from systolith.frontends.tflite.node import Node, Piece, Refusal, constant, same_numbers
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import Channels, Role, register, unchanged

__all__ = ["Slices"]

#: The first one, the step to the next, and how many.
Slice = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Slices(Attributes):
    """``slices`` of each axis, None for all of it; in another ``shape``, of other axes of 1, where
    that is given."""

    slices: tuple[Slice | None, ...]
    shape: tuple[int, ...] | None = None


def _move(graph: Graph, operator: Operator, x: Array) -> Array:
    attributes: Slices = operator.attributes
    for axis, part in enumerate(attributes.slices):
        if part is not None:
            first, step, count = part
            x = np.take(x, first + step * np.arange(count), axis)
    return x if attributes.shape is None else x.reshape(attributes.shape)


def _channels(graph: Graph, operator: Operator) -> Channels:
    attributes: Slices = operator.attributes
    keeps = attributes.shape is None and attributes.slices[-1] is None
    return Channels.SAME if keeps else Channels.ALL


def _part(size: int, first: int, step: int, count: int) -> Slice | None:
    return None if (first, step, count) == (0, 1, size) else (first, step, count)


def _numbers(node: Node, position: int, role: str) -> list[int]:
    """A constant operand of int32."""
    tensor = node.inputs[position] if position < len(node.inputs) else None
    return constant(tensor, role, "int32").numbers.ravel().tolist()


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Refusal(f"its axis {axis} is not one of {rank}")
    return axis % rank


def _checked(node: Node, slices: Iterable[Slice | None], shape: Iterable[int] | None = None,
             source: int = 0, output: int = 0) -> Slices:
    """Attributes, once the result has the shape that ``slices`` of operand ``source`` give, or the
    ``shape`` that is given, and the same numbers."""
    x, slices = node.activation(source), tuple(slices)
    sliced = tuple(size if part is None else part[2]
                   for size, part in zip(x.shape, slices, strict=True))
    shape = sliced if shape is None else tuple(shape)
    same_numbers(x, node.result(shape, output))
    return Slices(slices=slices, shape=None if shape == sliced else shape)


def _slice(node: Node) -> Slices:
    node.expect(None, 3)
    shape = node.activation(0).shape
    begins, sizes = _numbers(node, 1, "begins"), _numbers(node, 2, "sizes")
    if not len(begins) == len(sizes) == len(shape):
        raise Refusal(f"it has {len(begins)} begins and {len(sizes)} sizes for {shape}")
    counts = [n - begin if count == -1 else count
              for n, begin, count in zip(shape, begins, sizes, strict=True)]
    if not all(0 <= begin < begin + count <= n
               for n, begin, count in zip(shape, begins, counts, strict=True)):
        raise Refusal(f"begins {begins} and sizes {sizes} do not lie within {shape}")
    return _checked(node, (_part(n, begin, 1, count) for n, begin, count in zip(
        shape, begins, counts, strict=True)))


def _strided(node: Node) -> Slices:
    """Bits of its masks stand for the entries of begins, ends and strides."""
    node.expect(tflite.StridedSliceOptions, 4)
    shape = node.activation(0).shape
    entries = list(zip(*(_numbers(node, at, role) for at, role in enumerate(
        ("begins", "ends", "strides"), 1)), strict=True))
    begin, end, ellipsis, new, shrink = (node.option(f"{name}Mask") for name in (
        "Begin", "End", "Ellipsis", "NewAxis", "ShrinkAxis"))
    gaps = [bit for bit in range(len(entries)) if ellipsis >> bit & 1]
    used = sum(not (new | ellipsis) >> bit & 1 for bit in range(len(entries)))
    if len(gaps) > 1 or used > len(shape):
        raise Refusal(f"it has {used} slices and {len(gaps)} gaps for the {len(shape)} axes of "
                      f"{shape}")
    slices: list[Slice | None] = []
    result: list[int] = []
    for bit, (low, high, step) in enumerate(entries):
        if bit in gaps:
            skipped = len(shape) - used
            result += shape[len(slices):len(slices) + skipped]
            slices += [None] * skipped
        elif new >> bit & 1:
            result.append(1)
        else:
            size = shape[len(slices)]
            if shrink >> bit & 1:
                low = _axis(low, size)
                if step < 1:
                    raise Refusal(f"it takes one element with the stride {step}")
                slices.append(_part(size, low, 1, 1))
                continue
            part = _range(size, None if begin >> bit & 1 else low,
                          None if end >> bit & 1 else high, step, bool(node.option("Offset")))
            slices.append(_part(size, *part))
            result.append(part[2])
    rest = shape[len(slices):]
    return _checked(node, slices + [None] * len(rest), (*result, *rest))


def _range(size: int, low: int | None, high: int | None, step: int, offset: bool) -> Slice:
    """What bounds that may be negative come to; ``high`` may count from where it begins."""
    if step == 0:
        raise Refusal("a stride is 0")
    if offset and high is not None:
        high += slice(low, None, step).indices(size)[0]
    taken = range(*slice(low, high, step).indices(size))
    if not taken:
        raise Refusal(f"from {low} to {high} by {step} there is nothing of an axis of {size}")
    return taken[0], step if len(taken) > 1 else 1, len(taken)


def _parts(node: Node, source: int, axis: int, sizes: list[int]) -> list[Piece]:
    """A slice for each result, one after the other along ``axis``."""
    shape = node.activation(source).shape
    axis = _axis(axis, len(shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if min(sizes, default=0) < 1 or sum(sizes) != shape[axis] or len(sizes) != len(node.outputs):
        raise Refusal(f"sizes {sizes} are not {len(node.outputs)} parts of {shape[axis]}")
    pieces, first = [], 0
    for output, size in enumerate(sizes):
        slices: list[Slice | None] = [None] * len(shape)
        slices[axis] = _part(shape[axis], first, 1, size)
        first += size
        pieces.append(Piece(_checked(node, slices, source=source, output=output), (source,),
                            output))
    return pieces


def _split(node: Node) -> list[Piece]:
    node.expect(tflite.SplitOptions, 2, outputs=None)
    shape, axis = node.activation(1).shape, _numbers(node, 0, "axis")[0]
    count = len(node.outputs)
    if node.option("NumSplits") != count:
        raise Refusal(f"it has {count} results, but asks for {node.option('NumSplits')}")
    return _parts(node, 1, axis, [shape[_axis(axis, len(shape))] // count] * count)


def _split_v(node: Node) -> list[Piece]:
    node.expect(None, 3, outputs=None)
    return _parts(node, 0, _numbers(node, 2, "axis")[0], _numbers(node, 1, "sizes"))


def _unpack(node: Node) -> list[Piece]:
    node.expect(tflite.UnpackOptions, 1, outputs=None)
    shape = node.activation(0).shape
    axis = _axis(node.option("Axis"), len(shape))
    if not len(node.outputs) == node.option("Num") == shape[axis]:
        raise Refusal(f"it has {len(node.outputs)} results, and asks for {node.option('Num')}, of "
                      f"axis {axis} of {shape}")
    pieces = []
    for output in range(shape[axis]):
        slices: list[Slice | None] = [None] * len(shape)
        slices[axis] = _part(shape[axis], output, 1, 1)
        pieces.append(Piece(_checked(node, slices, (*shape[:axis], *shape[axis + 1:]),
                                     output=output), (0,), output))
    return pieces


def _reverse(node: Node) -> Slices:
    node.expect(None, 2)
    shape = node.activation(0).shape
    axes = {_axis(axis, len(shape)) for axis in _numbers(node, 1, "axes")}
    return _checked(node, ((size - 1, -1, size) if axis in axes and size > 1 else None
                           for axis, size in enumerate(shape)))


def _options(graph: Graph, operator: Operator) -> tuple[str, dict[str, int]]:
    """Of a strided slice whose operands are those of the first axes of each of the results: axes
    that vanish are in the mask."""
    attributes: Slices = operator.attributes
    left = list(graph.result(operator).shape)
    shrink = 0
    for axis, (size, part) in enumerate(zip(graph.activation(operator).shape, attributes.slices,
                                            strict=True)):
        count = size if part is None else part[2]
        if left[:1] == [count]:
            left.pop(0)
        else:
            shrink |= 1 << axis
    return "StridedSliceOptions", {"shrinkAxisMask": shrink}


register(movement(
    _move, kind="STRIDED_SLICE", operands=(Role.ACTIVATION, *(Role.CONSTANT,) * 3), optional=3,
    attributes=Slices, **ON_CHIP, channels=_channels, select=unchanged,
    tflite={"STRIDED_SLICE": _strided, "SLICE": _slice, "SPLIT": _split, "SPLIT_V": _split_v,
            "UNPACK": _unpack, "REVERSE_V2": _reverse},
    writer=_options))
