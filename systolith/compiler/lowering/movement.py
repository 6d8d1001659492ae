"""Bytes that change their pixel: what is moved by addressing costs nothing, the rest is copied."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden.types import Int32
from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.codegen.program import Layer
from systolith.compiler.layout.region import Region
from systolith.compiler.layout.views import image_of, part_of, view_of
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.picking import copy_of
from systolith.compiler.lowering.pooling import Steps, scatter
from systolith.compiler.partition import CannotRun
from systolith.compiler.tiling.region_layers import MOST_WORD_BYTES
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import origins, several_images
from systolith.graph.record import Placement

__all__ = ["MOST_COPIES", "ON_CHIP", "Copy", "copies_of", "move", "no_images", "same_channels",
           "too_many_copies"]

#: Layers of a movement at the most; past that the host is faster.
MOST_COPIES = 16

Numbers = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """What moves together: all pixels of ``source``, or only these ``channels`` of them, to those
    of ``target``; or, with ``steps``, to bytes as many apart from line to line, from pixel to pixel
    and from channel to channel, from the first one of ``target`` on."""

    source: Region
    target: Region
    channels: tuple[int, ...] | None = None
    steps: Steps | None = None


def move(context: Context, operator: Operator) -> list[Layer]:
    """Copies of what does not lie in its place to begin with."""
    layers: list[Layer] = []
    copies = list(islice(copies_of(origins(context.graph, operator), context.source(operator),
                                   context.target(operator), context.pooling),
                         None if context.pooling else MOST_COPIES + 1))
    if not context.pooling and len(copies) > MOST_COPIES:
        raise CannotRun(operator, f"without pooling it takes more than {MOST_COPIES} copies")
    for copy in copies:
        if copy.steps is not None:
            layers.append(scatter(context, operator, copy.source, copy.target, copy.steps))
        else:
            layers += copy_of(context, operator, copy.source, copy.target, copy.channels)
    return layers


def copies_of(taken: Int32, source: Region, target: Region,
              scatters: bool = True) -> Iterator[Copy]:
    """Copies that together move the elements at the flat places ``taken`` of an image in ``source``
    to an image in ``target``.

    If one does as parts of the target, then that; if one does as a part of the source whose bytes
    go anywhere at equal steps, then that. Otherwise channels that stay together in all pixels are
    moved together; pixels, as far as those whose channels begin alike lie at equal steps. Unless
    the build ``scatters``, bytes go nowhere but forwards, with the channels of their pixel.
    """
    taken = taken.reshape(target.height, target.width, target.channels)
    if (channels := same_channels(taken, source.channels)) is not None:
        pixels = taken[..., 0] // source.channels
        for copy in _parts(pixels[..., None], replace(source, channels=1),
                           replace(target, channels=1), back=False):
            yield replace(copy, source=replace(copy.source, channels=source.channels),
                          target=replace(copy.target, channels=target.channels), channels=channels)
        return
    parts = partial(_parts, taken, source, target, back=scatters)
    several = scatters and len(list(islice(parts(), 2))) > 1
    if several and (found := _scattered(taken, source, target)) is not None:
        yield found
    else:
        yield from parts()


def _parts(taken: Int32, source: Region, target: Region, back: bool) -> Iterator[Copy]:
    """Parts of ``source`` for parts of ``target``, some of which may go ``back``."""
    pixel, channel = np.divmod(taken, source.channels)
    torn = (np.diff(pixel) != 0) | (np.diff(channel) != 1)
    begins = np.append(0, 1 + np.flatnonzero(torn.any(axis=(0, 1))))
    line, column = np.divmod(pixel, source.width)
    words = line * source.line_step + column * source.pixel_step
    for first, end in pairwise([*begins.tolist(), target.channels]):
        yield from _run(words[..., first], channel[..., first], first, end - first, source, target,
                        back)


def _scattered(taken: Int32, source: Region, target: Region) -> Copy | None:
    """All of a part of ``source`` that begins with a word, if its bytes go at equal steps."""
    pixel, channel = np.divmod(taken, source.channels)
    axes = [np.unique(each) for each in (*np.divmod(pixel, source.width), channel)]
    if math.prod(map(len, axes)) != taken.size or len(np.unique(taken)) != taken.size or any(
            len(axis) > 2 and np.ptp(np.diff(axis)) for axis in axes):
        return None
    lines, pixels, channels = ([*axis.tolist(), axis[0] + 1][:2] for axis in axes)
    stride = lines[1] - lines[0], pixels[1] - pixels[0]
    part = source.part(lines[0], pixels[0], len(axes[0]), len(axes[1]), stride).slice(
        channels[0], len(axes[2]))
    y, x, c = np.ogrid[:target.height, :target.width, :target.channels]
    goes = np.empty(taken.size, np.int64)  # by the place in the part
    goes[np.argsort(np.argsort(taken.ravel()))] = (
        y * target.line_bytes + x * target.pixel_bytes + c).ravel()
    places = goes.reshape(part.height, part.width, part.channels)
    steps = tuple(int(np.diff(np.moveaxis(places, axis, 0), axis=0).flat[0])
                  if places.shape[axis] > 1 else 0 for axis in range(3))
    first, (down, right, deep) = int(places[0, 0, 0]), steps
    y, x, c = np.ogrid[:part.height, :part.width, :part.channels]
    if (np.any(places != first + y * down + x * right + c * deep) or part.offset
            or channels[1] - channels[0] != 1 or not 0 <= deep < MOST
            or max(part.height, part.width, part.channels) >= MOST):
        return None
    words, offset = divmod(target.offset + first, target.word_bytes)
    return Copy(source=part, target=replace(target, base=target.base + words, offset=offset),
                steps=(down, right, max(deep, 1)))


def same_channels(taken: Int32, channels: int) -> tuple[int, ...] | None:
    """The channels of one pixel of as many ``channels`` that each pixel of a movement takes, if
    they are the same ones everywhere, and neither all nor ones that follow each other."""
    pixel, channel = np.divmod(taken.reshape(-1, taken.shape[-1]), channels)
    if np.any(pixel != pixel[:, :1]) or np.any(channel != channel[:1]) or np.all(
            np.diff(channel[0]) == 1):
        return None
    return tuple(channel[0].tolist())


def _run(words: Numbers, channel: Numbers, first: int, count: int, source: Region,
         target: Region, back: bool) -> Iterator[Copy]:
    """Copies of ``count`` channels from the ``first`` on, which come from as many of each pixel
    ``words`` from the base, beginning with that ``channel`` of it."""
    for begin in np.unique(channel).tolist():
        mask = channel == begin
        lines, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        blocks = [(lines, columns)]
        if not mask[np.ix_(lines, columns)].all() or not _separable(words[np.ix_(lines, columns)]):
            blocks = [(lines[[n]], np.flatnonzero(mask[y])) for n, y in enumerate(lines)]
        turns = back and (source.offset + begin) % source.word_bytes == 0
        for lines, columns in blocks:
            at = words[np.ix_(lines, columns)]
            for top, bottom in _steps(lines, at[:, 0], turns):
                for left, right in _steps(columns, at[0], turns):
                    yield _block(at[top:bottom, left:right], source.slice(begin, count),
                                 lines[top:bottom], columns[left:right],
                                 target.slice(first, count))


def _block(words: Numbers, source: Region, lines: Numbers, columns: Numbers,
           target: Region) -> Copy:
    """Pixels ``words`` from the base of ``source``, at equal steps forwards or backwards, for these
    ``lines`` and ``columns`` of ``target``. What is read backwards is written backwards instead."""
    turned = [len(each) > 1 and each[1] < each[0] for each in (words[:, 0], words[0])]
    if not any(turned):
        return Copy(source=_strided(source, words), target=_grid(target, lines, columns))
    if turned[0]:
        words, lines = words[::-1], lines[::-1]
    if turned[1]:
        words, columns = words[:, ::-1], columns[::-1]
    down, right = (int(each[1] - each[0]) if len(each) > 1 else 0 for each in (lines, columns))
    return Copy(source=_strided(source, words),
                target=target.part(int(lines[0]), int(columns[0]), 1, 1),
                steps=(down * target.line_bytes, right * target.pixel_bytes, 1))


def _separable(words: Numbers) -> bool:
    return bool(np.all(words == words[:1] + words[:, :1] - words[0, 0]))


def _steps(places: Numbers, words: Numbers, back: bool) -> Iterator[tuple[int, int]]:
    """Where pieces begin and end throughout which ``places`` and ``words`` go on by equal steps,
    the latter backwards only if they may go ``back``."""
    begin, size = 0, len(places)
    while begin < size:
        end = begin + 1
        steps = [each[end] - each[begin] for each in (places, words) if end < size]
        if steps and (steps[1] > 0 or back and steps[1] < 0):
            while end < size and all(each[end] - each[end - 1] == step for each, step in zip(
                    (places, words), steps, strict=True)):
                end += 1
        yield begin, end
        begin = end


def _strided(source: Region, words: Numbers) -> Region:
    """Pixels that lie as many ``words`` from the base of ``source``."""
    height, width = words.shape
    return replace(
        source, base=source.base + int(words[0, 0]), height=height, width=width,
        line_step=int(words[1, 0] - words[0, 0]) if height > 1 else 0,
        pixel_step=int(words[0, 1] - words[0, 0]) if width > 1 else 0)


def _grid(target: Region, lines: Numbers, columns: Numbers) -> Region:
    """The pixels of ``target`` in these ``lines`` and ``columns``, which lie at equal steps."""
    stride = [int(each[1] - each[0]) if len(each) > 1 else 1 for each in (lines, columns)]
    return target.part(int(lines[0]), int(columns[0]), len(lines), len(columns),
                       (stride[0], stride[1]))


def too_many_copies(graph: Graph, operator: Operator) -> str:
    """Why the host had better move the numbers, or ""."""
    taken = origins(graph, operator)
    x, y = (image_of(tensor.shape, MOST_WORD_BYTES) for tensor in (graph.activation(operator),
                                                                   graph.result(operator)))
    if view_of(taken, x) is not None:
        return ""
    many = next(islice(copies_of(taken, x, y), MOST_COPIES, None), None) is not None
    return f"it takes more than {MOST_COPIES} copies" if many else ""


def no_images(graph: Graph, operator: Operator) -> str:
    """Why the host has to join the operands: they are no images within the result. Otherwise ""."""
    if reason := several_images(graph, operator):
        return reason
    joined = image_of(graph.result(operator).shape, 1)
    for number, index in enumerate(operator.activations):
        if part_of(graph, operator, number, joined) is None:
            return f"{graph.tensors[index].shape} is no image within {graph.result(operator).shape}"
    return ""


#: Fields of the records of kinds that move numbers and fill in none.
ON_CHIP: dict[str, Any] = {"lower": move, "host_reason": too_many_copies,
                           "units": frozenset({"pooling"}), "placement": Placement.VIEW}
