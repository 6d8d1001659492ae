"""Operators that move numbers, or choose among them, and keep what they mean."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from sim.golden import float32
from systolith.frontends.onnx import pointwise
from systolith.frontends.onnx.builder import FULL
from systolith.frontends.onnx.node import Append, Converter, Node, single
from systolith.frontends.onnx.values import (
    Activation,
    Constant,
    FloatInput,
    Move,
    Pending,
    Refusal,
    Shape,
    Sums,
    Value,
    Weights,
)
from systolith.graph.attributes import Pair, pair_of

__all__ = ["MOVING", "AppendEither", "bounded", "bounds_of", "channels_first", "clamp",
           "quantised_bounds", "unbounded"]


class AppendEither(Protocol):
    """An :data:`~systolith.frontends.onnx.node.Append` of images whose channels come first, or
    ``last``."""

    def __call__(self, node: Node, x: Activation, scale: float, zero_point: int, unsigned: bool, /,
                 last: bool = False) -> Activation: ...


def _moving(function: Callable[[Node, Shape], Move]) -> Converter:
    """The check of an operator that only moves numbers: ``function(node, shape)`` gives what it
    does to an array of that ``shape``."""
    def check(node: Node) -> Value:
        value = node.operand(0)
        if not isinstance(value, (Activation, FloatInput, Constant, Weights)):
            value = node.activation(0)  # says what it is instead
        shape = value.array.shape if isinstance(value, (Constant, Weights)) else value.shape
        move = function(node, shape)
        match value:
            case Constant():
                return Constant(move(value.array))
            case Weights(axis=None):
                return replace(value, array=move(value.array))
            case Weights():
                raise Refusal("weights with a scale for each channel cannot be reshaped: store "
                              "them as their layer needs them")
        return value.moved(move)
    return check


def _new_shape(node: Node, shape: Shape) -> list[int]:
    given = (node.integers("shape") if node.version < 5
             else node.whole(1, "sizes of the new shape"))
    zero_stays = not node.integer("allowzero", 0)
    sizes = [shape[axis] if size == 0 and zero_stays and axis < len(shape) else size
             for axis, size in enumerate(given)]
    known = math.prod(size for size in sizes if size != -1)
    total = math.prod(shape)
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes[sizes.index(-1)] = total // known
    if any(size < 1 for size in sizes) or math.prod(sizes) != total:
        raise Refusal(f"{shape} cannot take the shape {tuple(sizes)}")
    return sizes


def _reshape(node: Node, shape: Shape) -> Move:
    node.expect(1 if node.version < 5 else 2)
    sizes = _new_shape(node, shape)
    return lambda x: x.reshape(sizes)


def _flatten(node: Node, shape: Shape) -> Move:
    node.expect(1)
    axis = node.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise Refusal(f"its axis {axis} is not one of {len(shape)}")
    axis += len(shape) if axis < 0 else 0
    return lambda x: x.reshape(math.prod(shape[:axis]), math.prod(shape[axis:]))


def _axes(node: Node, rank: int) -> Shape | None:
    """Axes of Squeeze and Unsqueeze, or :data:`None`."""
    if node.version < 13:
        axes = node.integers("axes") if "axes" in node.attributes else None
    else:
        axes = (None if node.operand(1) is None
                else node.whole(1, "axes"))
    if axes is None:
        return None
    if not all(-rank <= axis < rank for axis in axes) or len({a % rank for a in axes}) < len(axes):
        raise Refusal(f"its axes {axes} are not different ones of {rank}")
    return tuple(axis % rank for axis in axes)


def _squeeze(node: Node, shape: Shape) -> Move:
    node.expect(1, 2)
    axes = _axes(node, len(shape))
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    if any(shape[axis] != 1 for axis in axes):
        raise Refusal(f"the axes {axes} of {shape} are not all 1")
    return lambda x: np.squeeze(x, axes)


def _unsqueeze(node: Node, shape: Shape) -> Move:
    node.expect(1, 2)
    count = (len(node.integers("axes")) if node.version < 13
             else len(node.whole(1, "axes")))
    if count > 8:
        raise Refusal(f"it has {count} axes, more than 8")
    axes = _axes(node, len(shape) + count)
    return lambda x: np.expand_dims(x, axes or ())


def _transpose(node: Node, shape: Shape) -> Move:
    node.expect(1)
    order = node.integers("perm") or tuple(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise Refusal(f"its perm {order} is not an order of {len(shape)} axes")
    return lambda x: x.transpose(order)


def _same(node: Node, shape: Shape) -> Move:
    node.expect(1, 3, outputs=2)
    return lambda x: x


def unbounded(node: Node, position: int = 0) -> Activation:
    """Activation ``position``, of integers or real, that no ReLU waits to bound."""
    value = node.operand(position)
    x = node.activation(position, real=isinstance(value, Activation) and value.real)
    if (x.low, x.high) != (-math.inf, math.inf):
        raise Refusal(f"input {position} is the result of a Relu or Clip that nothing has "
                      "quantised: quantise it in between")
    return x


def bounded(node: Node) -> Activation:
    """Activation 0, of integers or real; what a ReLU or Clip bounds in its own scale."""
    value = node.operand(0)
    x = node.activation(0, real=isinstance(value, Activation) and value.real)
    if (x.low, x.high) == (-math.inf, math.inf):
        return x
    draft = node.builder.draft(x.tensor)
    scale, zero_point = draft.quantisation.known
    bounds = quantised_bounds(x.low, x.high, scale, zero_point)
    for real, number, outside in zip((x.low, x.high), bounds, FULL, strict=True):
        if number != outside and real != np.float32(number - zero_point) * np.float32(scale):
            return unbounded(node)  # says that it must be quantised
    return replace(pointwise.requantise(node, x, scale, zero_point, draft.unsigned, bounds),
                   real=True)


def bounds_of(node: Node) -> tuple[float, float]:
    """Bounds (low, high) of a Relu or Clip, infinite where there is none."""
    if node.kind == "Relu":
        node.expect(1)
        return 0.0, math.inf
    if node.version < 11:
        node.expect(1)
        low, high = node.number("min", -math.inf), node.number("max", math.inf)
    else:
        node.expect(1, 3)
        low, high = (other if node.operand(at) is None else
                     single(node.constant(at, "bounds"), "bound").item()
                     for at, other in ((1, -math.inf), (2, math.inf)))
    if not low <= high:
        raise Refusal(f"its bounds are {low} and {high}")
    return low, high


def quantised_bounds(low: float, high: float, scale: float, zero_point: int) -> Pair:
    """int8 bounds of numbers between the real ``low`` and ``high``."""
    return pair_of(int(float32.quantize(bound, scale, zero_point)) for bound in (low, high))


def clamp(node: Node) -> Pending | Activation | Sums:
    """ReLU and Clip: bounds that wait for the scale of what is quantised next. Of integers they
    are numbers themselves."""
    low, high = bounds_of(node)
    value = node.operand(0)
    if isinstance(value, Pending) or isinstance(value, (Activation, Sums)) and value.real:
        return replace(value, low=max(min(value.low, high), low),
                       high=min(max(value.high, low), high))
    x = node.activation(0)
    draft = node.builder.draft(x.tensor)
    bounds = pair_of(int(min(max(bound - 128 * draft.unsigned, -128), 127))
                     for bound in (low, high))
    scale, zero_point = draft.quantisation.completed(draft.unsigned)
    return pointwise.lookup(node, x, "QUANTIZE", scale, zero_point, draft.unsigned, bounds)


def channels_first(append: Append) -> AppendEither:
    """``append`` of images (n, c, h, w), also for those whose channels come ``last``."""
    def check(node: Node, x: Activation, scale: float, zero_point: int, unsigned: bool, /,
              last: bool = False) -> Activation:
        if not last:
            return append(node, x, scale, zero_point, unsigned)
        back = (0, *range(2, len(x.shape)), 1)
        there = (0, len(x.shape) - 1, *range(1, len(x.shape) - 1))
        result = append(node, x.moved(lambda places: places.transpose(there)), scale, zero_point,
                        unsigned)
        return result.moved(lambda places: places.transpose(back))
    return check


#: What only moves numbers, of integers and of floats.
MOVING: dict[str, Converter] = {
    "Reshape": _moving(_reshape),
    "Flatten": _moving(_flatten),
    "Squeeze": _moving(_squeeze),
    "Unsqueeze": _moving(_unsqueeze),
    "Transpose": _moving(_transpose),
    "Identity": _moving(_same),
    "Dropout": _moving(_same),
}
