"""What a network keeps from one run to the next, on the host."""

from collections.abc import Mapping

import numpy as np

from systolith.graph.file_layout import axes_of_file, from_graph, to_graph
from systolith.graph.ir import Graph
from systolith.graph.record import Values

__all__ = ["States"]


class States:
    """The states of ``graph``, which begin with their initial numbers.

    ``numbers`` are those of each by now, as the file has them.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.numbers: tuple[Values, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.numbers = tuple(state.initial for state, *_ in self._graph.kept)

    def given(self) -> tuple[Values, ...]:
        """What the next run is given, as the graph has it."""
        return tuple(self._of(given, numbers) for (_, given, _), numbers in zip(
            self._graph.kept, self.numbers, strict=True))

    def _of(self, given: int, numbers: Values) -> Values:
        tensor = self._graph.tensors[given]
        shape = axes_of_file(tensor, np.empty(tensor.shape, np.int8)).shape
        return to_graph(tensor, numbers.reshape(shape)).reshape(tensor.shape)

    def advance(self, values: Mapping[int, Values]) -> None:
        """Keep what a run gave, its ``values`` by index of tensor."""
        tensors = self._graph.tensors
        self.numbers = tuple(from_graph(tensors[result], values[result])
                              for _, _, result in self._graph.kept)
