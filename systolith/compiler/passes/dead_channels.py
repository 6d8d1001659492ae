from dataclasses import replace

import numpy as np

from sim.golden.types import Int8, Int32
from systolith.compiler.passes.channel_analysis import ChannelAnalysis, flat
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import Channels, Flags, Role, UnknownOperator

__all__ = ["remove_dead_channels"]


def remove_dead_channels(graph: Graph) -> Graph:
    """``graph`` without the channels that nothing depends on.

    A channel whose weights are all zero is a constant, and what is computed from constants alone
    is one too. Layers take constants into their biases; but where a layer pads its input, only a
    constant that is the padding itself, the zero point. A channel that all readers can do without
    in that way, or meet with zeros only, is removed, together with what it alone was computed for.
    Inputs and results of the graph stay as they are.
    """
    live = ChannelAnalysis(graph)
    if not any(drop.any() for drop in live.drop.values()):
        return graph
    return _Removal(graph, live).graph


class _Removal:
    """``graph`` with smaller tensors and weights."""

    def __init__(self, before: Graph, live: ChannelAnalysis) -> None:
        self.before, self.live = before, live
        self.tensors = list(before.tensors)
        for index, drop in live.drop.items():
            tensor = before.tensors[index]
            self.tensors[index] = replace(
                tensor, shape=(*tensor.shape[:-1], int((~drop).sum())))
        operators = tuple(map(self._operator, before.operators))
        self.graph = replace(before, tensors=tuple(self.tensors), operators=operators)

    def _constant(self, tensor: Tensor, data: Int8 | Int32, scales: tuple[float, ...]) -> int:
        self.tensors.append(replace(tensor, data=data, shape=data.shape, scales=scales))
        return len(self.tensors) - 1

    def _operator(self, operator: Operator) -> Operator:
        """``operator`` with the attributes, weights and biases of the channels that stay."""
        record, keep = operator.record, ~self.live.drop[operator.outputs[0]]
        if not keep.all():
            if record.select is None:
                raise UnknownOperator(f"{operator}: its record does not say what becomes of its "
                                      "attributes without some channels (select)")
            operator = replace(operator, attributes=record.select(operator, keep))
        if not record.weighted:
            return operator
        x = operator.activations[0]
        if x not in self.live.drop or (keep.all() and not self.live.drop[x].any()):
            return operator
        weights = self.before.weights(operator)
        axis = 3 if record.channels_of(self.before, operator) is Channels.DEPTHWISE else 0
        scales = weights.scales
        if len(scales) > 1:
            scales = tuple(np.array(scales)[keep].tolist())
        data, bias = weights.numbers, self.before.bias(operator).astype(np.int64)
        if axis == 0:
            drop = flat(self.live.drop[x], data.shape[-1])
            constants = flat(self.live.values[x].astype(np.int64), data.shape[-1])
            offset = np.where(drop, constants - self.before.tensors[x].zero_point, 0)
            bias += (data * offset).reshape(len(data), -1).sum(axis=1)
            data = data[..., ~drop]
        return self._weighted(operator, data.compress(keep, axis), scales,
                              bias[keep].astype(np.int32), keep)

    def _weighted(self, operator: Operator, data: Int8, scales: tuple[float, ...], bias: Int32,
                  keep: Flags) -> Operator:
        """``operator`` with other weights, and biases even if it had none."""
        weights = self.before.weights(operator)
        at, bias_at = (operator.record.position(role) for role in (Role.WEIGHTS, Role.BIAS))
        if at is None or bias_at is None:
            raise UnknownOperator(f"{operator}: this pass needs a place for weights and biases")
        inputs = [*operator.inputs, *(-1,) * (bias_at + 1 - len(operator.inputs))]
        like = self.before.operand(operator, bias_at) or replace(
            weights, name=f"{weights.name} biases", dtype="int32", axis=0)
        inputs[at] = self._constant(weights, data, scales)
        inputs[bias_at] = self._constant(like, bias, like.scales if len(like.scales) < 2 else tuple(
            np.array(like.scales)[keep].tolist()))
        return replace(operator, inputs=tuple(inputs))
