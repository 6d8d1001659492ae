"""Operators on constants, which exporters leave where they compute shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from systolith.frontends.onnx.node import Converter, Node, single
from systolith.frontends.onnx.values import Constant, Refusal, Weights

__all__ = ["CONVERTERS", "MOST"]

#: Most elements of a constant that is computed.
MOST = 4096

#: Types that a Cast can lead to, by their codes.
TYPES: dict[int, npt.DTypeLike] = {1: np.float32, 6: np.int32, 7: np.int64}

Array = npt.NDArray[Any]


def _small(array: Array) -> Array:
    if array.size > MOST:
        raise Refusal(f"a constant of {array.size} elements is too large to be computed here")
    return array


def _arrays(node: Node, count: int) -> list[Array]:
    node.expect(count)
    return [_small(node.constant(position, "operands")) for position in range(count)]


def _constant(node: Node) -> Array:
    if "value" in node.attributes:
        return numpy_helper.to_array(node.attributes["value"].t)
    dtype: npt.DTypeLike
    for name, kind, dtype in (("value_int", "INT", np.int64), ("value_ints", "INTS", np.int64),
                              ("value_float", "FLOAT", np.float32),
                              ("value_floats", "FLOATS", np.float32)):
        if name in node.attributes:
            return np.array(node.attribute(name, kind, None), dtype)
    raise Refusal("it has no value that can be read")


def _shape(node: Node) -> Array:
    node.expect(1)
    value = node.operand(0)
    if value is None:
        raise Refusal("input 0 is left out")
    shape = value.array.shape if isinstance(value, (Constant, Weights)) else value.shape
    begin, end = node.integer("start", 0), node.integer("end", len(shape))
    return np.array(shape[begin:end], np.int64)


def _gather(node: Node) -> Array:
    array, index = _arrays(node, 2)
    axis = node.axis(array.ndim, 0)
    if index.dtype.kind != "i" or np.any((index < -array.shape[axis])
                                         | (index >= array.shape[axis])):
        raise Refusal("its indices are out of range")
    return _small(np.take(array, index, axis))


def _slice(node: Node) -> Array:
    if node.version < 10:
        raise Refusal("only its versions from 10 on are possible")
    node.expect(3, 5)
    array, begin, end = (_small(node.constant(at, "operands")) for at in range(3))
    axes = (np.arange(begin.size) if node.operand(3) is None else node.constant(3, "axes"))
    steps = np.ones(begin.size, int) if node.operand(4) is None else node.constant(4, "steps")
    if not begin.size == end.size == axes.size == steps.size or np.any(steps == 0) or np.any(
            (axes < -array.ndim) | (axes >= array.ndim)):
        raise Refusal("its operands do not fit each other")
    index = [slice(None)] * array.ndim
    for axis, low, high, step in zip(axes.ravel().tolist(), begin.ravel().tolist(),
                                     end.ravel().tolist(), steps.ravel().tolist(), strict=True):
        index[axis] = slice(low, None if step < 0 and high < -array.shape[axis] else high, step)
    return array[tuple(index)]


def _fill(node: Node) -> Array:
    sizes, = _arrays(node, 1)
    if np.any(sizes < 0) or np.prod(sizes.astype(float)) > MOST:
        raise Refusal(f"a constant of the shape {sizes.ravel()[:8].tolist()} is too large")
    value = (np.zeros(1, np.float32) if "value" not in node.attributes
             else numpy_helper.to_array(node.attributes["value"].t))
    return np.full(sizes.ravel().tolist(), single(value, "value"))


def _cast(node: Node) -> Array:
    array, = _arrays(node, 1)
    to = node.integer("to", 0)
    if to not in TYPES:
        raise Refusal(f"constants cannot be cast to type {to} here")
    with np.errstate(invalid="ignore"):
        return array.astype(TYPES[to])


def _arithmetic(function: Callable[[Array, Array], Array]) -> Callable[[Node], Array]:
    def check(node: Node) -> Array:
        a, b = _arrays(node, 2)
        if a.dtype != b.dtype or a.dtype.kind not in "if":
            raise Refusal(f"constants of {a.dtype} and {b.dtype} do not fit each other")
        with np.errstate(all="ignore"):
            return _small(np.asarray(function(a, b)).astype(a.dtype))
    return check


def _quotient(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return a / b
    if np.any(b == 0):
        raise Refusal("it divides by 0")
    return np.trunc(a / b)


def _folded(function: Callable[[Node], Array]) -> Converter:
    return lambda node: Constant(np.asarray(function(node)))


#: What is computed at import where all operands are constants; Shape and Constant always are.
CONVERTERS: dict[str, Converter] = {kind: _folded(function) for kind, function in {
    "Constant": _constant,
    "Shape": _shape,
    "Gather": _gather,
    "Slice": _slice,
    "ConstantOfShape": _fill,
    "Cast": _cast,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_quotient),
}.items()}
