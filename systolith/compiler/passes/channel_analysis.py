"""Which channels of activations are constants, and which nothing depends on."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from systolith.graph.interpreter import run_operator
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, Flags, UnknownOperator

__all__ = ["ChannelAnalysis", "flat"]

Scalar = TypeVar("Scalar", bound=np.generic)


def flat(channels: npt.NDArray[Scalar], count: int) -> npt.NDArray[Scalar]:
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

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        indices = {*graph.inputs, *(index for op in graph.operators for index in op.outputs)}
        # What a runtime computes may have no axes.
        channels = {n: (1, *graph.tensors[n].shape)[-1] for n in indices}
        self.constant = {n: np.zeros(count, bool) for n, count in channels.items()}
        self.values = {n: np.zeros(count, np.int8) for n, count in channels.items()}
        for op in graph.operators:
            if op.record.run is None and all(index in indices for index in op.activations):
                self._settle(op)
        read = {index for op in graph.operators for index in op.inputs} - {
            *graph.inputs, *graph.outputs}
        self.drop = {n: np.full(count, n in read) for n, count in channels.items()}
        self._shrink()

    # What is constant.

    def _settle(self, operator: Operator) -> None:
        """Constants among the results of ``operator``."""
        y = operator.outputs[0]
        constant = self._constant(operator)
        if not constant.any():
            return
        # All pixels of a constant are alike: those of the others do not matter.
        operands = {}
        for index in operator.activations:
            tensor = self.graph.tensors[index]
            line = np.where(self.constant[index], self.values[index], tensor.zero_point)
            operands[index] = np.broadcast_to(line.astype(np.int8), tensor.shape)
        result = run_operator(self.graph, operator, operands)
        self.constant[y] = constant
        self.values[y] = np.where(constant, result.reshape(-1, len(constant))[0], 0).astype(np.int8)

    def _constant(self, operator: Operator) -> Flags:
        """Whether each channel of the result is constant."""
        record, y = operator.record, self.graph.result(operator)
        parts = [self._foldable(operator, index) for index in operator.activations]
        match record.channels_of(self.graph, operator):
            case Channels.WEIGHTED:
                needs = self.graph.weights(operator).numbers.astype(bool)
                if needs.shape[-1] % len(parts[0]) == 0:  # neither in groups, nor torn apart
                    needs &= ~flat(parts[0], needs.shape[-1])
                return ~np.logical_or.reduce(needs.reshape(len(needs), -1), axis=1)
            case Channels.DEPTHWISE:
                needs = self.graph.weights(operator).numbers.astype(bool)
                inputs = np.repeat(parts[0], needs.shape[3] // len(parts[0]))
                return ~np.logical_or.reduce(needs & ~inputs, axis=(0, 1, 2))
            case Channels.JOINED:
                return np.concatenate(parts)
            case Channels.FLATTENED:
                return flat(parts[0], y.shape[-1])
            case Channels.SAME:
                return np.logical_and.reduce(parts)
            case Channels.ALL:
                return np.zeros(y.shape[-1], bool)
            case other:
                raise UnknownOperator(f"{operator}: this pass knows nothing of {other}")

    def _foldable(self, operator: Operator, index: int) -> Flags:
        """Channels of an activation that are constants for ``operator``: among the zero points that
        take part too, if there are any."""
        if not operator.record.fills(self.graph, operator):
            return self.constant[index]
        return self.constant[index] & (self.values[index] == self.graph.tensors[index].zero_point)

    # What can be removed.

    def _shrink(self) -> None:
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

    def _restrict(self, operator: Operator) -> None:
        """Keep what ``operator`` needs: of the operands, and of the result to match them."""
        if operator.record.run is not None:
            for index in (*operator.inputs, *operator.outputs):
                self.drop[index][:] = False
            return
        y, activations = self.drop[operator.outputs[0]], operator.activations
        parts = [self.drop[index] for index in activations if index in self.drop]
        channels = operator.record.channels_of(self.graph, operator)
        if len(parts) < len(activations) or operator.record.select is None:
            channels = Channels.ALL  # constants stay as they are, and what nobody knows to narrow
        x = parts[0] if parts else y
        match channels:
            case Channels.DEPTHWISE:
                both = x & y.reshape(len(x), -1).all(axis=1)
                x[:], y[:] = both, np.repeat(both, len(y) // len(x))
            case Channels.WEIGHTED if self.graph.weights(operator).shape[-1] % len(x) == 0:
                weights = self.graph.weights(operator)
                needs = weights.numbers[~y].astype(bool) & ~flat(
                    self._foldable(operator, activations[0]), weights.shape[-1])
                x &= ~needs.reshape(-1, len(x)).any(axis=0)
            case Channels.JOINED:
                first = 0
                for part in parts:
                    part &= y[first:first + len(part)]
                    first += len(part)
                y[:] = np.concatenate(parts)
            case Channels.FLATTENED:
                both = x & y.reshape(-1, len(x)).all(axis=0)
                x[:], y[:] = both, flat(both, len(y))
            case Channels.SAME:
                both = np.logical_and.reduce([y, *parts])
                for drop in (y, *parts):
                    drop[:] = both
            case Channels.ALL | Channels.WEIGHTED:
                for drop in (y, *parts):
                    drop[:] = False
            case other:
                raise UnknownOperator(f"{operator}: this pass knows nothing of {other}")
