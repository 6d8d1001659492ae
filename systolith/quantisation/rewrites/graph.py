"""A float .onnx graph, and what a rewrite puts in place of some of its operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from onnx import ModelProto, NodeProto, helper, numpy_helper

__all__ = ["Chain", "FloatGraph", "Made", "attribute"]


@dataclass(frozen=True)
class Made:
    """A new operator, with what it reads behind its first input: names of tensors, and constants.
    """

    kind: str
    further: Sequence[str | npt.NDArray[Any]] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chain:
    """Operators ``made`` to take the place of ``nodes``: the first reads the tensor ``x``, each one
    what is before it, and the last gives what the last of ``nodes`` gave."""

    x: str
    nodes: Sequence[NodeProto]
    made: Sequence[Made]


class FloatGraph:
    """The graph of a model as rewrites ask for it."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = graph = model.graph
        self._constants = {each.name: each for each in graph.initializer}
        self._shapes = {each.name: tuple(dim.dim_value for dim in each.type.tensor_type.shape.dim)
                        for each in (*graph.input, *graph.value_info, *graph.output)}
        self.makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._outputs = {each.name for each in graph.output}
        self._taken = set[int]()

    def constant(self, name: str) -> npt.NDArray[Any] | None:
        """The numbers of a constant; None of what is none."""
        found = self._constants.get(name)
        return None if found is None else numpy_helper.to_array(found)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; empty if it is not known, or not all of it."""
        shape = self._shapes.get(name, ())
        return shape if min(shape, default=0) > 0 else ()

    def reader(self, name: str) -> NodeProto | None:
        """The operator that alone reads a tensor which is no output; None if there is none."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self._outputs else None

    def taken(self, node: NodeProto) -> bool:
        """Whether a chain has the place of an operator already."""
        return id(node) in self._taken

    def take(self, chain: Chain) -> None:
        self._taken.update(map(id, chain.nodes))

    def apply(self, chains: Mapping[int, Chain]) -> None:
        """Put chains, by the last operator of which each has the place, into the graph."""
        nodes = list[NodeProto]()
        for node in self._graph.node:
            if chain := chains.get(id(node)):
                nodes += self._operators(chain)
            elif not self.taken(node):
                nodes.append(NodeProto.FromString(node.SerializeToString()))
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input}
        kept = [each for each in self._constants.values() if each.name in read]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
        del self._graph.value_info[:]

    def _operators(self, chain: Chain) -> list[NodeProto]:
        x, nodes = chain.x, list[NodeProto]()
        last = chain.nodes[-1]
        for position, made in enumerate(chain.made):
            stem = f"{last.output[0]}_{made.kind}_{position}"
            names = list[str]()
            for index, each in enumerate(made.further):
                names.append(each if isinstance(each, str) else f"{stem}_constant_{index}")
                if not isinstance(each, str):
                    self._constants[names[-1]] = numpy_helper.from_array(each, names[-1])
            y = last.output[0] if position == len(chain.made) - 1 else stem
            nodes.append(helper.make_node(made.kind, [x, *names], [y], stem, **made.attributes))
            x = y
        return nodes


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """An attribute of an operator."""
    found = next((each for each in node.attribute if each.name == name), None)
    return default if found is None else helper.get_attribute_value(found)
