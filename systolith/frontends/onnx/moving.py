"""Operators that pick elements, repeat them, or put them elsewhere."""

from collections.abc import Callable
from itertools import accumulate, pairwise

import numpy as np

from sim.golden import movement as golden
from sim.golden.movement import origins_of
from systolith.frontends.onnx import shape_ops
from systolith.frontends.onnx.node import LARGEST, Node
from systolith.frontends.onnx.values import (
    Activation,
    Constant,
    Move,
    Refusal,
    Shape,
    Value,
    Weights,
    in_order,
)

__all__ = ["CONVERTERS", "moved"]

#: Most elements of a result.
MOST_ELEMENTS = 1 << 22


def moved(node: Node, x: Activation, move: Move) -> Activation:
    """``x`` after ``move``; :data:`~sim.golden.movement.FILL` stands for zeros."""
    taken = origins_of(move, x.shape)
    if not 0 < taken.size <= MOST_ELEMENTS:
        raise Refusal(f"its result of shape {taken.shape} is empty or too large")
    if taken.ndim == 0 or taken.shape[0] != x.shape[0]:
        raise Refusal(f"from {x.shape} to {taken.shape} it changes the number of images")
    first = taken.ndim == len(x.shape) in {3, 4} and np.array_equal(x.order, in_order(x.shape, 1))
    return node.builder.move(x, taken, taken.shape, 1 if first else taken.ndim - 1)


def _any(node: Node, x: Activation | None, move: Move) -> Value:
    """The same of operand 0, ``x`` or a constant."""
    value = node.operand(0)
    match value:
        case Constant():
            return Constant(move(value.array))
        case Weights():
            raise Refusal("weights cannot be moved: store them as their layer needs them")
    assert x is not None
    return moved(node, x, move)


def _operand(node: Node) -> tuple[Activation | None, Shape]:
    """Operand 0, None if it is a constant, and its shape."""
    value = node.operand(0)
    if isinstance(value, (Constant, Weights)):
        return None, value.array.shape
    x = shape_ops.bounded(node)
    return x, x.shape


def _converter(function: Callable[[Node, Shape], Move]) -> Callable[[Node], Value]:
    def convert(node: Node) -> Value:
        x, shape = _operand(node)
        return _any(node, x, function(node, shape))
    return convert


def _integers(node: Node, position: int, role: str) -> list[int]:
    return [int(each) for each in node.constant(position, role).ravel().tolist()]


def _slice(node: Node, shape: Shape) -> Move:
    if node.version < 10:
        node.expect(1)
        begins, ends = list(node.integers("starts")), list(node.integers("ends"))
        axes = list(node.integers("axes")) or list(range(len(begins)))
        steps = [1] * len(begins)
    else:
        node.expect(3, 5)
        begins, ends = _integers(node, 1, "begins"), _integers(node, 2, "ends")
        axes, steps = (list(range(len(begins))) if node.operand(3) is None
                       else _integers(node, 3, "axes"), [1] * len(begins)
                       if node.operand(4) is None else _integers(node, 4, "steps"))
    rank = len(shape)
    if not len(begins) == len(ends) == len(axes) == len(steps) or 0 in steps or any(
            not -rank <= axis < rank for axis in axes):
        raise Refusal("its operands do not fit each other")
    index = [slice(None)] * rank
    for axis, low, high, step in zip(axes, begins, ends, steps, strict=True):
        index[axis] = slice(low, None if step < 0 and high < -shape[axis] else high, step)
    return lambda x: x[tuple(index)]


def _split(node: Node) -> tuple[Value, ...]:
    node.expect(1, 2, outputs=LARGEST)
    x, shape = _operand(node)
    axis, count = node.axis(len(shape), 0), len(node.outputs)
    size = shape[axis]
    sizes = list(node.integers("split")) if node.version < 13 else (
        [] if node.operand(1) is None else _integers(node, 1, "sizes"))
    if not sizes:
        each = -(-size // count)
        sizes = [min(each, size - first) for first in range(0, size, each)]
    if len(sizes) != count or sum(sizes) != size or min(sizes) < 1:
        raise Refusal(f"sizes {sizes} are not {count} parts of {size}")
    return tuple(_any(node, x, _part(axis, first, end))
                 for first, end in pairwise(accumulate(sizes, initial=0)))


def _part(axis: int, first: int, end: int) -> Move:
    return lambda x: x[(*(slice(None),) * axis, slice(first, end))]


def _gather(node: Node, shape: Shape) -> Move:
    node.expect(2)
    axis, index = node.axis(len(shape), 0), node.constant(1, "indices")
    if index.dtype.kind != "i" or np.any((index < -shape[axis]) | (index >= shape[axis])):
        raise Refusal("its indices are out of range")
    return lambda x: np.take(x, index, axis)


def _tile(node: Node, shape: Shape) -> Move:
    node.expect(2)
    times = _integers(node, 1, "repeats")
    if len(times) != len(shape) or not all(1 <= each <= LARGEST for each in times):
        raise Refusal(f"{times} are not repeats of {shape}")
    return _up_to(shape, tuple(n * each for n, each in zip(shape, times, strict=True)))


def _expand(node: Node, shape: Shape) -> Move:
    node.expect(2)
    sizes = _integers(node, 1, "sizes")
    try:
        return _up_to(shape, np.broadcast_shapes(shape, tuple(sizes)))
    except ValueError as error:
        raise Refusal(f"{shape} cannot be broadcast to {sizes}") from error


def _up_to(shape: Shape, sizes: Shape) -> Move:
    if np.prod(np.array(sizes, float)) > MOST_ELEMENTS:
        raise Refusal(f"its result of shape {sizes} is too large")
    return lambda x: golden.repeat_to(x, sizes)


def _depth_to_space(node: Node, shape: Shape) -> Move:
    node.expect(1)
    block, mode = node.integer("blocksize", 0), node.text("mode", "DCR")
    if mode not in {"DCR", "CRD"}:
        raise Refusal(f"the mode {mode!r} is neither 'DCR' nor 'CRD'")
    if len(shape) != 4 or block < 1 or shape[1] % block ** 2:
        raise Refusal(f"blocks of {block} do not divide {shape}")
    return lambda x: np.moveaxis(golden.depth_to_space(np.moveaxis(x, 1, -1), block,
                                                       mode == "CRD"), -1, 1)


def _space_to_depth(node: Node, shape: Shape) -> Move:
    node.expect(1)
    block = node.integer("blocksize", 0)
    if len(shape) != 4 or block < 1 or shape[2] % block or shape[3] % block:
        raise Refusal(f"blocks of {block} do not divide {shape}")
    return lambda x: np.moveaxis(golden.space_to_depth(np.moveaxis(x, 1, -1), block), -1, 1)


#: By the names of operators in files.
CONVERTERS: dict[str, Callable[[Node], Value | tuple[Value, ...]]] = {
    "Slice": _converter(_slice), "Split": _split, "Gather": _converter(_gather),
    "Tile": _converter(_tile), "Expand": _converter(_expand),
    "DepthToSpace": _converter(_depth_to_space), "SpaceToDepth": _converter(_space_to_depth)}
