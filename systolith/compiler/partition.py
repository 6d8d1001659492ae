"""Which operators the accelerator runs, and which the host: decided once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from systolith.graph.ir import Graph, Operator
from systolith.graph.movement import several_images

__all__ = ["CannotRun", "Partition", "partition"]


class CannotRun(ValueError):
    """A build cannot run an ``operator``, whatever its memories, for a ``reason``."""

    def __init__(self, operator: Operator, reason: str) -> None:
        super().__init__(f"{operator}: {reason}")
        self.operator, self.reason = operator, reason


@dataclass(frozen=True, kw_only=True)
class Partition:
    """``host`` has, by the index of each operator that the host runs, the reason why."""

    host: Mapping[int, str] = field(default_factory=dict)

    def on_host(self, operator: Operator) -> bool:
        return operator.index in self.host


def partition(graph: Graph, cannot: Mapping[int, str] | None = None) -> Partition:
    """The :class:`Partition` of a graph, as the records of its operators have it; and those that
    the build ``cannot`` run, by their numbers, with the reasons."""
    reasons = {op.index: (cannot or {}).get(op.index) or _host_reason(graph, op)
               for op in graph.operators}
    return Partition(host={index: reason for index, reason in reasons.items() if reason})


def _host_reason(graph: Graph, operator: Operator) -> str:
    if operator.record.lower is None:
        return (operator.record.host_reason(graph, operator)
                or "the accelerator has no layers for it")
    for index in operator.activations:
        if graph.tensors[index].data is not None:
            return f"its operand {graph.tensors[index].name} is a constant"
    reason = operator.record.host_reason(graph, operator)
    if reason or any(graph.tensors[index].shape[:1] != (1,) for index in graph.inputs):
        return reason  # a network of several images is refused as such
    return several_images(graph, operator)
