"""Random operators that move numbers about, each a graph of its own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from systolith.graph.ir import Graph, Tensor
from systolith.graph.record import record_of
from systolith.zoo.random.operators import graph_of, tensor

__all__ = ["DRAWS", "MOVEMENTS", "Drawn"]

Maker = Callable[[np.random.Generator], Graph]


def table(name: str, numbers: Any) -> Tensor:
    """A constant of int32."""
    data = np.array(numbers, np.int32)
    return Tensor(name=name, shape=data.shape, dtype="int32", data=data)


def moved(kind: str, x: Tensor, tables: Sequence[Tensor], attributes: dict[str, Any]) -> Graph:
    """A graph of one operator, whose result is as its record has it."""
    draft = graph_of(kind, [x, *tables, replace(x, name="y")], attributes)
    shape = record_of(kind).shape(draft, draft.operators[0])
    return replace(draft, tensors=(*draft.tensors[:-1], replace(x, name="y", shape=shape)))


def image(rng: np.random.Generator, least: int = 2, most: int = 4, largest: int = 6) -> Tensor:
    rank = int(rng.integers(least, most + 1))
    return tensor(rng, "x", (1, *rng.integers(1, largest + 1, rank - 1)))


#: Kind, constant operands and attributes of a movement.
Drawn = tuple[str, list[Tensor], dict[str, Any]]


def strided_slice(rng: np.random.Generator, x: Tensor) -> Drawn:
    slices, bounds = [], []
    for size in x.shape:
        step = int(rng.choice([1, 1, 2, 3, -1, -2]))
        first, last = sorted(rng.integers(0, size, 2).tolist(), reverse=step < 0)
        count = abs(last - first) // abs(step) + 1
        first, step, count = (0, 1, size) if rng.random() < 0.4 else (
            first, step if count > 1 else 1, count)
        end = first + step * count
        bounds.append((first, end if end >= 0 else -size - 1, step))
        slices.append(None if (first, step, count) == (0, 1, size) else (first, step, count))
    tables = [table(name, column) for name, column in zip(
        ("begin", "end", "strides"), zip(*bounds, strict=True), strict=True)]
    return "STRIDED_SLICE", tables, {"slices": tuple(slices)}


def transposition(rng: np.random.Generator, x: Tensor) -> Drawn:
    order = (0, *(rng.permutation(len(x.shape) - 1) + 1).tolist())
    return "TRANSPOSE", [table("order", order)], {"order": order}


def broadcast(rng: np.random.Generator, x: Tensor) -> Drawn:
    shape = (1, *(int(rng.integers(1, 6)) if size == 1 else size for size in x.shape[1:]))
    return "BROADCAST_TO", [table("sizes", shape)], {"shape": shape}


def mirror(rng: np.random.Generator, x: Tensor) -> Drawn:
    reflect = bool(rng.random() < 0.5)
    padding = ((0, 0), *(tuple(rng.integers(0, min(size + 1 - reflect, 4), 2).tolist())
                         for size in x.shape[1:]))
    return "MIRROR_PAD", [table("pads", padding)], {"padding": padding, "reflect": reflect}


def gather(rng: np.random.Generator, x: Tensor) -> Drawn:
    axis = int(rng.integers(1, len(x.shape)))
    indices = rng.integers(0, x.shape[axis], rng.integers(1, 8)).tolist()
    return "GATHER", [table("indices", indices)], {
        "axis": axis, "indices": tuple(indices), "shape": (len(indices),)}


def of_image(draw: Callable[[np.random.Generator, Tensor], Drawn], least: int = 2) -> Maker:
    def make(rng: np.random.Generator) -> Graph:
        x = image(rng, least)
        if draw is broadcast:
            x = replace(x, shape=tuple(1 if rng.random() < 0.5 else size for size in x.shape))
        kind, tables, attributes = draw(rng, x)
        return moved(kind, x, tables, attributes)
    return make


def squares(kind: str) -> Maker:
    def make(rng: np.random.Generator) -> Graph:
        block = int(rng.integers(2, 4))
        h, w, c = rng.integers(1, 5, 3).tolist()
        shape = (h * block, w * block, c) if kind == "SPACE_TO_DEPTH" else (h, w, c * block ** 2)
        return moved(kind, tensor(rng, "x", (1, *shape)), [], {"block": block})
    return make


def images(kind: str) -> Maker:
    def make(rng: np.random.Generator) -> Graph:
        block = tuple(rng.integers(1, 4, 2).tolist())
        h, w, c = rng.integers(1, 5, 3).tolist()
        sides = tuple((int(rng.integers(0, step)),) * 2 for step in block)
        if kind == "SPACE_TO_BATCH_ND":
            sides = tuple((before, -(size + before) % step) for (before, _), size, step in zip(
                sides, (h, w), block, strict=True))
            shape: tuple[int, ...] = (1, h, w, c)
        else:
            sides = tuple((before, 0) for before, _ in sides)
            shape = (math.prod(block), h, w, c)
        return moved(kind, tensor(rng, "x", shape), [table("block", block), table("sides", sides)],
                     {"block": block, "sides": sides})
    return make


def pack(rng: np.random.Generator) -> Graph:
    x, count = image(rng, 2, 3), int(rng.integers(1, 6))
    axis = int(rng.integers(1, len(x.shape) + 1))
    shape = (*x.shape[:axis], count, *x.shape[axis:])
    return graph_of("PACK", [*(replace(x, name=f"x{n}") for n in range(count)),
                             replace(x, name="y", shape=shape)], {"axis": axis})


def joined(rng: np.random.Generator) -> Graph:
    """Along any axis but that of the images."""
    x = image(rng, 3)
    axis = int(rng.integers(1, len(x.shape) - 1))
    sizes = rng.integers(1, 5, rng.integers(2, 5)).tolist()
    parts = [replace(x, name=f"x{n}", shape=(*x.shape[:axis], size, *x.shape[axis + 1:]))
             for n, size in enumerate([*sizes, sum(sizes)])]
    return graph_of("CONCATENATION", parts, {"axis": axis})


MOVEMENTS: dict[str, Maker] = {
    "strided slice": of_image(strided_slice), "transpose": of_image(transposition),
    "space to depth": squares("SPACE_TO_DEPTH"), "depth to space": squares("DEPTH_TO_SPACE"),
    "space to batch": images("SPACE_TO_BATCH_ND"), "batch to space": images("BATCH_TO_SPACE_ND"),
    "broadcast": of_image(broadcast), "mirror pad": of_image(mirror, 4),
    "gather": of_image(gather), "pack": pack,
    "joined": joined}

#: Movements of any image.
DRAWS: list[Callable[[np.random.Generator, Tensor], Drawn]] = [
    strided_slice, strided_slice, transposition, broadcast, mirror, gather]
