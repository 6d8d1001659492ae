"""Parts of images that are images themselves: where results of movements already lie."""

import math
from dataclasses import replace

import numpy as np

from sim.golden.types import Int32
from systolith.compiler.layout.region import Region
from systolith.graph.ir import Graph, Operator

__all__ = ["image_of", "part_of", "parts_of", "view_of"]


def image_of(shape: tuple[int, ...], word_bytes: int) -> Region:
    """A region of its own for an image: all axes before the last two are lines."""
    *lines, width, channels = (1,) * (3 - len(shape)) + shape
    return Region(height=math.prod(lines), width=width, channels=channels, word_bytes=word_bytes)


def view_of(origins: Int32, source: Region) -> Region | None:
    """The region of a tensor whose elements are those at ``origins`` of the flat image in
    ``source``, or None if these are no image: pixels at equal steps forward, from line to line too,
    each with channels of one pixel that follow each other."""
    image = image_of(origins.shape, source.word_bytes)
    pixel, channel = np.divmod(origins.reshape(image.height, image.width, image.channels),
                               source.channels)
    first = int(channel[0, 0, 0])
    if (origins.min() < 0 or np.any(pixel != pixel[..., :1])
            or np.any(channel != first + np.arange(image.channels))):
        return None
    line, column = np.divmod(pixel[..., 0], source.width)
    words = line * source.line_step + column * source.pixel_step
    steps = [int(words[1, 0] - words[0, 0]) if image.height > 1 else 0,
             int(words[0, 1] - words[0, 0]) if image.width > 1 else 0]
    for size, step in zip(words.shape, steps, strict=True):
        if size > 1 and step <= 0:
            return None
    if np.any(words != words[0, 0] + np.add.outer(*(
            np.arange(size) * step for size, step in zip(words.shape, steps, strict=True)))):
        return None
    part = source.slice(first, image.channels)
    return replace(part, base=part.base + int(words[0, 0]), height=image.height,
                   width=image.width, line_step=steps[0], pixel_step=steps[1])


def parts_of(graph: Graph, operator: Operator) -> list[Int32]:
    """Of an operator that joins its operands, the places of each within the flat result."""
    y = graph.result(operator).shape
    join = operator.record.parts
    assert join is not None, f"{operator} does not join its operands"
    return join(graph, operator, np.arange(math.prod(y), dtype=np.int32).reshape(y))


def part_of(graph: Graph, operator: Operator, number: int, joined: Region) -> Region | None:
    """Where the activation of that ``number`` lies in the ``joined`` result, or None if it is no
    image there."""
    return view_of(parts_of(graph, operator)[number], joined)
