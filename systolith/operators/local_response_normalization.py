"""ONNX's normalisation among neighbours in the channels, which runs on the host."""

import math
from dataclasses import dataclass

from sim.golden import float32
from systolith.frontends.onnx import qdq
from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.node import Node
from systolith.frontends.onnx.values import Activation, Refusal
from systolith.graph import golden
from systolith.graph.attributes import Clamp
from systolith.graph.record import OperatorRecord, register

__all__ = ["LocalResponseNormalization"]

#: Most channels that it sums over.
MOST_CHANNELS = 1 << 10


@dataclass(frozen=True, kw_only=True)
class LocalResponseNormalization(Clamp):
    """``x * (bias + alpha / size * sum(x ** 2)) ** -beta``, of sums over ``size`` channels."""

    size: int
    alpha: float
    beta: float
    bias: float


def _append(node: Node, x: Activation, scale: float, zero_point: int, unsigned: bool) -> Activation:
    size = node.integer("size", 0)
    if size not in range(1, MOST_CHANNELS, 2):
        raise Refusal(f"the size {size} is not an odd number of up to {MOST_CHANNELS} channels")
    attributes = {name: node.number(name, default) for name, default in (
        ("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))}
    if not all(0 < value < math.inf for value in attributes.values()):
        raise Refusal(f"only positive numbers are possible, not {attributes}")
    builder = node.builder
    source = builder.image(x)
    tensor = builder.append("LOCAL_RESPONSE_NORMALIZATION", [source], node.outputs[0],
                            builder.draft(source).shape, unsigned,
                            Quantisation(scale, zero_point), range=FULL, size=size, **attributes)
    return builder.result(tensor, x.shape)


register(OperatorRecord(
    kind="LOCAL_RESPONSE_NORMALIZATION", attributes=LocalResponseNormalization,
    shape=golden.result_like,
    golden={"float32": golden.mapped(float32.local_response_normalization, golden.requantised,
                                     "size", "alpha", "beta", "bias")},
    onnx={"LRN": qdq.unary(_append)}))
