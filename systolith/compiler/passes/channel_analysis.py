"""Which channels of activations are constants, and which nothing depends on."""

import math

import numpy as np

from systolith.compiler.passes.fold_constants import activations_of
from systolith.graph.interpreter import run_operator
from systolith.graph.ir import POINTWISE

__all__ = ["ChannelAnalysis", "flat"]

#: Operators that take each channel by itself to the same channel.
CHANNELWISE = {"AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "RESIZE_NEAREST_NEIGHBOR", "ADD", "PAD",
               *POINTWISE}


def flat(channels, count):
    """What holds for channels, for ``count`` numbers of pixels after each other."""
    return np.tile(channels, count // len(channels))


class ChannelAnalysis:
    """Channels of the activations of a graph, by index of tensor.

    Attributes
    ----------
    constant : dict
        Whether each channel is the same number in all pixels of every image.
    values : dict
        Those numbers.
    drop : dict
        Whether each channel can be removed.
    """

    WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}

    def __init__(self, graph):
        self.graph = graph
        indices = {*graph.inputs, *(op.outputs[0] for op in graph.operators)}
        self.constant = {n: np.zeros(graph.tensors[n].shape[-1], bool) for n in indices}
        self.values = {n: np.zeros(graph.tensors[n].shape[-1], np.int8) for n in indices}
        for op in graph.operators:
            if all(index in indices for index in activations_of(op)):
                self._settle(op)
        read = {index for op in graph.operators for index in op.inputs} - {
            *graph.inputs, *graph.outputs}
        self.drop = {n: np.full(graph.tensors[n].shape[-1], n in read) for n in indices}
        self._shrink()

    # What is constant.

    def _settle(self, operator):
        """Constants among the results of ``operator``."""
        y = operator.outputs[0]
        constant = self._constant(operator)
        if constant is None or not constant.any():
            return
        # All pixels of a constant are alike: those of the others do not matter.
        operands = {}
        for index in activations_of(operator):
            tensor = self.graph.tensors[index]
            line = np.where(self.constant[index], self.values[index], tensor.zero_point)
            operands[index] = np.broadcast_to(line.astype(np.int8), (1, *tensor.shape[1:]))
        result = run_operator(self.graph, operator, operands)
        self.constant[y] = constant
        self.values[y] = np.where(constant, result.reshape(-1, len(constant))[0], 0).astype(np.int8)

    def _constant(self, operator):
        parts = [self.constant[index] for index in activations_of(operator)]
        if operator.kind in self.WEIGHTED:
            _, weights, _ = self.graph.layer(operator)
            needs = weights.data != 0
            if operator.kind == "DEPTHWISE_CONV_2D":
                inputs = np.repeat(self._foldable(operator), needs.shape[3] // len(parts[0]))
                return ~(needs & ~inputs).any(axis=(0, 1, 2))
            if needs.shape[-1] % len(parts[0]):  # in groups, or not pixel by pixel
                return ~needs.reshape(len(needs), -1).any(axis=1)
            needs &= ~flat(self._foldable(operator), needs.shape[-1])
            return ~needs.reshape(len(needs), -1).any(axis=1)
        if operator.kind == "CONCATENATION":
            return np.concatenate(parts)
        if operator.kind == "RESHAPE" and self._flattens(operator):
            return flat(parts[0], self.graph.result(operator).shape[-1])
        if operator.kind == "PAD":
            if any(operator.attributes["padding"][-1]):
                return None
            index = operator.inputs[0]
            return parts[0] & (self.values[index] == self.graph.tensors[index].zero_point)
        return np.logical_and.reduce(parts) if operator.kind in CHANNELWISE else None

    def _foldable(self, operator):
        """Input channels of a layer with weights that are constants, in its padding too."""
        index, = activations_of(operator)
        padding = np.array(operator.attributes.get("padding", 0))
        if operator.kind != "TRANSPOSE_CONV" and not padding.any():
            return self.constant[index]
        return self.constant[index] & (self.values[index] == self.graph.tensors[index].zero_point)

    def _flattens(self, operator):
        x, y = self.graph.operand(operator, 0), self.graph.result(operator)
        return y.shape[-1] == math.prod(x.shape[1:])

    # What can be removed.

    def _shrink(self):
        """The most that all operators can do without."""
        count = None
        while count != (count := sum(drop.sum() for drop in self.drop.values())):
            for op in reversed(self.graph.operators):
                self._restrict(op)
        empty = [drop for drop in self.drop.values() if drop.all()]
        for drop in empty:  # a tensor has a channel
            drop[0] = False
        if empty:
            self._shrink()

    def _restrict(self, operator):
        """Keep what ``operator`` needs: of the operands, and of the result to match them."""
        y, activations = self.drop[operator.outputs[0]], activations_of(operator)
        x = self.drop[activations[0]] if activations[0] in self.drop else None
        apart = operator.kind in self.WEIGHTED and (
            self.graph.operand(operator, 1).shape[-1] % len(x))
        if operator.kind == "DEPTHWISE_CONV_2D":
            both = x & y.reshape(len(x), -1).all(axis=1)
            x[:], y[:] = both, np.repeat(both, len(y) // len(x))
        elif operator.kind in self.WEIGHTED and not apart:
            _, weights, _ = self.graph.layer(operator)
            needs = (weights.data[~y] != 0) & ~flat(self._foldable(operator),
                                                    weights.shape[-1])
            x &= ~needs.reshape(-1, len(x)).any(axis=0)
        elif operator.kind == "CONCATENATION":
            first = 0
            for index in activations:
                part = self.drop[index]
                both = part & y[first:first + len(part)]
                part[:] = both
                first += len(part)
            y[:] = np.concatenate([self.drop[index] for index in activations])
        elif operator.kind == "RESHAPE" and self._flattens(operator):
            both = x & y.reshape(-1, len(x)).all(axis=0)
            x[:], y[:] = both, flat(both, len(y))
        elif operator.kind in CHANNELWISE and len(y) == len(x):
            both = np.logical_and.reduce([y, *(self.drop[index] for index in activations)])
            for drop in (y, *(self.drop[index] for index in activations)):
                drop[:] = both
        else:
            for drop in (y, *(self.drop[index] for index in activations)):
                drop[:] = False
