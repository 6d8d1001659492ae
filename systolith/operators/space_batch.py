"""Every n-th line and pixel as an image of its own, and back: what makes a convolution between the
two one with a dilation."""

from collections.abc import Callable
from dataclasses import dataclass

from sim.golden import movement as golden
from sim.golden.movement import Array
from systolith.frontends.tflite.node import LARGEST, Node, Refusal, constant, same_numbers
from systolith.graph.attributes import Attributes, Sides, pair_of
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import Channels, Role, register, unchanged

__all__ = ["Images"]


@dataclass(frozen=True, kw_only=True)
class Images(Attributes):
    """``block`` has the step along each axis after the first, ``sides`` what is padded before that,
    or cut off afterwards."""

    block: tuple[int, ...]
    sides: Sides


def _to_batch(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.space_to_batch(x, operator.attributes.block, operator.attributes.sides)


def _to_space(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.batch_to_space(x, operator.attributes.block, operator.attributes.sides)


def _channels(graph: Graph, operator: Operator) -> Channels:
    """Blocks may go over channels too."""
    attributes: Images = operator.attributes
    last = len(graph.result(operator).shape) - 2
    steps, sides = attributes.block[last:], attributes.sides[last:]
    return Channels.SAME if steps in {(), (1,)} and not any(map(any, sides)) else Channels.ALL


def _convert(to_batch: bool) -> Callable[[Node], Images]:
    def convert(node: Node) -> Images:
        node.expect(None, 3)
        x = node.activation(0)
        block = tuple(constant(node.inputs[1], "block", "int32").numbers.ravel().tolist())
        table = constant(node.inputs[2], "sides", "int32").numbers
        axes = len(block)
        if table.shape != (axes, 2) or not 1 <= axes < len(x.shape):
            raise Refusal(f"a block of {axes} axes and sides of shape {table.shape} do not fit "
                          f"{x.shape}")
        sides = tuple(map(pair_of, table.tolist()))
        if not all(0 < size <= LARGEST for size in block) or not all(
                0 <= side <= LARGEST for pair in sides for side in pair):
            raise Refusal(f"blocks {block} or sides {sides} are not between 0 and {LARGEST}")
        images, *sizes = x.shape[:axes + 1]
        count, sizes = _sizes(images, sizes, block, sides, to_batch)
        same_numbers(x, node.result((count, *sizes, *x.shape[axes + 1:])))
        return Images(block=block, sides=sides)
    return convert


def _sizes(images: int, sizes: list[int], block: tuple[int, ...], sides: Sides,
           to_batch: bool) -> tuple[int, list[int]]:
    """Images, and their sizes, of the result."""
    many = 1
    for step in block:
        many *= step
    if to_batch:
        padded = [size + sum(pair) for size, pair in zip(sizes, sides, strict=True)]
        if any(size % step for size, step in zip(padded, block, strict=True)):
            raise Refusal(f"blocks {block} do not divide the padded sizes {padded}")
        return images * many, [size // step for size, step in zip(padded, block, strict=True)]
    left = [size * step - sum(pair) for size, step, pair in zip(sizes, block, sides, strict=True)]
    if images % many or min(left) < 1:
        raise Refusal(f"{images} images of {sizes} cannot be put together by {block} less {sides}")
    return images // many, left


ROLES = Role.ACTIVATION, Role.CONSTANT, Role.CONSTANT

register(
    movement(_to_batch, kind="SPACE_TO_BATCH_ND", operands=ROLES, optional=2, attributes=Images,
             channels=_channels, select=unchanged, fills=lambda graph, operator: True,
             tflite={"SPACE_TO_BATCH_ND": _convert(True)},
             writer=lambda graph, operator: ("SpaceToBatchNDOptions", {}), version=2),
    movement(_to_space, kind="BATCH_TO_SPACE_ND", operands=ROLES, optional=2, attributes=Images,
             channels=_channels, select=unchanged, tflite={"BATCH_TO_SPACE_ND": _convert(False)},
             writer=lambda graph, operator: ("BatchToSpaceNDOptions", {}), version=2))
