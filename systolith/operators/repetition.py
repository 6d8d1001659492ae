"""The same elements several times: repeated, broadcast, mirrored."""

from dataclasses import dataclass

import tflite

from sim.golden import movement as golden
from sim.golden.movement import Array
from systolith.compiler.lowering.movement import ON_CHIP
from systolith.frontends.tflite.node import Node, Refusal, constant, same_numbers
from systolith.graph.attributes import Attributes, Sides, pair_of
from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import movement
from systolith.graph.record import Role, register

__all__ = ["Mirror", "Repeat"]


@dataclass(frozen=True, kw_only=True)
class Repeat(Attributes):
    """Each axis over and over again up to those of ``shape``."""

    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Mirror(Attributes):
    """``padding`` has a pair for each axis; with ``reflect`` the outermost elements are not
    repeated."""

    padding: Sides
    reflect: bool


def _repeat(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.repeat_to(x, operator.attributes.shape)


def _mirror(graph: Graph, operator: Operator, x: Array) -> Array:
    return golden.mirror_pad(x, operator.attributes.padding, operator.attributes.reflect)


def _tile(node: Node) -> Repeat:
    node.expect(None, 2)
    x = node.activation(0)
    times = constant(node.inputs[1], "multiples", "int32").numbers.ravel().tolist()
    if len(times) != len(x.shape) or min(times) < 1:
        raise Refusal(f"{times} are not multiples of {x.shape}")
    shape = tuple(size * count for size, count in zip(x.shape, times, strict=True))
    same_numbers(x, node.result(shape))
    return Repeat(shape=shape)


def _broadcast(node: Node) -> Repeat:
    node.expect(None, 2)
    x = node.activation(0)
    shape = tuple(constant(node.inputs[1], "sizes", "int32").numbers.ravel().tolist())
    padded = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(padded) != len(shape) or any(own not in {1, size}
                                        for own, size in zip(padded, shape, strict=True)):
        raise Refusal(f"{x.shape} cannot be broadcast to {shape}")
    same_numbers(x, node.result(shape))
    return Repeat(shape=shape)


def _mirror_pad(node: Node) -> Mirror:
    node.expect(tflite.MirrorPadOptions, 2)
    x, pads = node.activation(0), constant(node.inputs[1], "paddings", "int32").numbers
    if pads.shape != (len(x.shape), 2):
        raise Refusal(f"the paddings have the shape {pads.shape} instead of {(len(x.shape), 2)}")
    padding = tuple(map(pair_of, pads.tolist()))
    reflect = node.option("Mode") == tflite.MirrorPadMode.REFLECT
    if not all(0 <= side <= size - reflect
               for size, pair in zip(x.shape, padding, strict=True) for side in pair):
        raise Refusal(f"the paddings {padding} are more than {x.shape} mirrors")
    same_numbers(x, node.result(tuple(size + sum(pair) for size, pair in zip(
        x.shape, padding, strict=True))))
    return Mirror(padding=padding, reflect=reflect)


register(
    movement(_repeat, kind="BROADCAST_TO", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1,
             attributes=Repeat, **ON_CHIP, tflite={"TILE": _tile, "BROADCAST_TO": _broadcast},
             writer=lambda graph, operator: ("BroadcastToOptions", {}), version=2),
    movement(_mirror, kind="MIRROR_PAD", operands=(Role.ACTIVATION, Role.CONSTANT), optional=1,
             attributes=Mirror, **ON_CHIP, tflite={"MIRROR_PAD": _mirror_pad},
             writer=lambda graph, operator: ("MirrorPadOptions", {
                 "mode": int(not operator.attributes.reflect)})))
