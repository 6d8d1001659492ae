"""Operators that move numbers about and compute nothing.

Each is a function of an array of any type. Of the places of an operand, ``np.arange`` in its shape,
it makes those from which the result takes its elements, :data:`FILL` where it has a fill value.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden.types import Int8, Int32, Pair

__all__ = ["FILL", "Array", "batch_to_space", "depth_to_space", "join", "mirror_pad", "pad",
           "origins_of", "repeat_to", "space_to_batch", "space_to_depth", "take"]

Array = npt.NDArray[Any]

#: The place of an element that no operand has.
FILL = -1


def origins_of(move: Callable[[Array], Array], shape: Sequence[int]) -> Int32:
    """Places, in the flat operand of ``shape``, from which ``move`` takes what it gives."""
    return move(np.arange(math.prod(shape), dtype=np.int32).reshape(shape))


def take(x: Int8, size: int, origins: Int32, fill: int = 0) -> Int8:
    """The elements at ``origins`` of each block of ``size`` elements of ``x``, or ``fill``; blocks
    follow each other along the first axis."""
    blocks = x.reshape(-1, size)
    moved = np.where(origins < 0, np.int8(fill), blocks[:, origins])
    return moved.reshape(-1, *origins.shape[1:])


def join(parts: Sequence[Int8], axis: int, blocks: int) -> Int8:
    """``parts`` one after the other along ``axis``, in each of as many ``blocks``, which follow
    each other along the first axis."""
    each = [part.reshape(blocks, -1, *part.shape[1:]) for part in parts]
    joined = np.concatenate(each, axis + 1)
    return joined.reshape(-1, *joined.shape[2:])


def pad(x: Array, padding: Sequence[Pair]) -> Array:
    """``x`` with so many elements :data:`FILL` before and after each axis."""
    return np.pad(x, padding, constant_values=FILL)


def mirror_pad(x: Array, padding: Sequence[Pair], reflect: bool) -> Array:
    """``x`` with its mirror image on either side of each axis, of which the outermost elements are
    no part if it is to ``reflect``."""
    return np.pad(x, padding, "reflect" if reflect else "symmetric")


def repeat_to(x: Array, shape: Sequence[int]) -> Array:
    """``x`` over and over again until it has the ``shape``, which may have more axes."""
    x = x.reshape((1,) * (len(shape) - x.ndim) + x.shape)
    return np.tile(x, [size // own for size, own in zip(shape, x.shape, strict=True)])


def space_to_depth(x: Array, block: int) -> Array:
    """(n, h, w, c) with the pixels of each square as one."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // block, w // block, -1)


def depth_to_space(x: Array, block: int, channels_first: bool = False) -> Array:
    """(n, h, w, c) with channels of each pixel as a square of such; those of one pixel lie side by
    side, or, ``channels_first``, a square apart."""
    n, h, w, c = x.shape
    if channels_first:
        x = x.reshape(n, h, w, -1, block, block).transpose(0, 1, 4, 2, 5, 3)
    else:
        x = x.reshape(n, h, w, block, block, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * block, w * block, -1)


def space_to_batch(x: Array, block: Sequence[int], padding: Sequence[Pair]) -> Array:
    """Every ``block``-th line and pixel of the padded ``x``, (n, h, w, ...) or (n, w, ...), as an
    image of its own: those that begin at the first place come first."""
    axes = len(block)
    x = pad(x, [(0, 0), *padding, *((0, 0),) * (x.ndim - axes - 1)])
    n, *sizes = x.shape
    split = [size for whole, step in zip(sizes, block, strict=False)
             for size in (whole // step, step)]
    images = x.reshape(n, *split, *sizes[axes:])
    order = [*range(2, 2 * axes + 1, 2), 0, *range(1, 2 * axes + 1, 2),
             *range(2 * axes + 1, images.ndim)]
    return images.transpose(order).reshape(-1, *split[::2], *sizes[axes:])


def batch_to_space(x: Array, block: Sequence[int], crops: Sequence[Pair]) -> Array:
    """The inverse of :func:`space_to_batch`, less what ``crops`` cut off on either side."""
    axes = len(block)
    images = x.reshape(*block, -1, *x.shape[1:])
    order = [axes, *(axis for pair in zip(range(axes + 1, 2 * axes + 1), range(axes), strict=True)
                     for axis in pair), *range(2 * axes + 1, images.ndim)]
    sizes = [size * step for size, step in zip(x.shape[1:], block, strict=False)]
    y = images.transpose(order).reshape(-1, *sizes, *x.shape[axes + 1:])
    return y[(slice(None), *(slice(before, size - after) for (before, after), size in zip(
        crops, sizes, strict=True)))]
