"""Squares of pixels as channels, and channels as squares of pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tflite

from sim.golden import movement as golden
from sim.golden.movement import Array
from systolith.compiler.lowering.movement import ON_CHIP
from systolith.frontends.tflite.node import Node, Refusal, same_numbers
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import register

__all__ = ["Block"]


@dataclass(frozen=True, kw_only=True)
class Block(Attributes):
    """Of a square of so many lines and pixels."""

    block: int


def _to_depth(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.space_to_depth(x, operator.attributes.block)


def _to_space(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.depth_to_space(x, operator.attributes.block)


def _convert(options: type[Any], to_depth: bool) -> Callable[[Node], Block]:
    def convert(node: Node) -> Block:
        node.expect(options, 1)
        x, block = node.activation(0, 4), node.option("BlockSize")
        n, h, w, c = x.shape
        if block < 1 or (h % block or w % block if to_depth else c % block ** 2):
            raise Refusal(f"blocks of {block} do not divide {x.shape}")
        shape = ((n, h // block, w // block, c * block ** 2) if to_depth
                 else (n, h * block, w * block, c // block ** 2))
        same_numbers(x, node.result(shape))
        return Block(block=block)
    return convert


register(
    movement(_to_depth, kind="SPACE_TO_DEPTH", attributes=Block, **ON_CHIP,
             tflite={"SPACE_TO_DEPTH": _convert(tflite.SpaceToDepthOptions, True)},
             writer=lambda graph, operator: ("SpaceToDepthOptions", {
                 "blockSize": operator.attributes.block})),
    movement(_to_space, kind="DEPTH_TO_SPACE", attributes=Block, **ON_CHIP,
             tflite={"DEPTH_TO_SPACE": _convert(tflite.DepthToSpaceOptions, False)},
             writer=lambda graph, operator: ("DepthToSpaceOptions", {
                 "blockSize": operator.attributes.block})))
