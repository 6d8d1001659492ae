"""How operators that look at one number at a time enter the graph."""

from typing import Any

from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.node import Node
from systolith.frontends.onnx.values import Activation
from systolith.graph.attributes import Pair

__all__ = ["lookup", "requantise"]


def lookup(node: Node, x: Activation, kind: str, scale: float, zero_point: int, unsigned: bool,
           bounds: Pair = FULL, **attributes: Any) -> Activation:
    """An operator of ``kind`` whose results depend each on one number of ``x``."""
    builder = node.builder
    tensor = builder.append(kind, [x.tensor], node.outputs[0], builder.draft(x.tensor).shape,
                            unsigned, Quantisation(scale, zero_point), range=bounds, **attributes)
    return Activation(tensor, x.shape, x.order)


def requantise(node: Node, x: Activation, scale: float, zero_point: int, unsigned: bool,
               bounds: Pair = FULL) -> Activation:
    """``x`` in another scale and between ``bounds``; the same tensor if that changes nothing."""
    draft = node.builder.draft(x.tensor)
    old = draft.quantisation
    if (old.scale, old.zero_point, draft.unsigned) == (scale, zero_point, unsigned) and (
            bounds == FULL):
        return Activation(x.tensor, x.shape, x.order)
    return lookup(node, x, "QUANTIZE", scale, zero_point, unsigned, bounds)
