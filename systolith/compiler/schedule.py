"""In which order operators run, and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from systolith.compiler.partition import Partition
from systolith.graph.ir import Graph, Operator

__all__ = ["Schedule", "schedule"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """``order`` has all operators of ``graph``; ``fused_adds`` the sums that take place in the
    convolution right before them, by the index of that."""

    graph: Graph
    parts: Partition
    order: tuple[Operator, ...]
    fused_adds: Mapping[int, Operator] = field(default_factory=dict)

    @property
    def accelerated(self) -> list[Operator]:
        """Operators that the accelerator runs, in their order."""
        return [op for op in self.order if not self.parts.on_host(op)]

    @property
    def never_stored(self) -> set[int]:
        """Tensors that pass from a convolution to a sum, and are never in memory."""
        return {op.outputs[0] for op in self.order if op.index in self.fused_adds}

    def readers(self, tensor: int) -> list[Operator]:
        return [op for op in self.order if tensor in op.inputs]

    def __str__(self) -> str:
        """A line for each operator: where it runs, and why not on the accelerator."""
        into = {total.index: op for op in self.order
                for total in [self.fused_adds.get(op.index)] if total}
        lines = []
        for op in self.order:
            where = "accelerator"
            if self.parts.on_host(op):
                where = f"host: {self.parts.host[op.index]}"
            elif op.index in into:
                where = f"in {into[op.index]}"
            lines.append(f"  {op.index:>5}   {op.kind:<28} {where}")
        return "\n".join(["schedule", *lines])


def schedule(graph: Graph, parts: Partition) -> Schedule:
    """All operators, in an order in which they can run, with as few changes between accelerator
    and host as that allows: neither is left before all that it can do is done."""
    left, order, local = list(graph.operators), [], False
    known = {*graph.inputs, *(n for n, tensor in enumerate(graph.tensors)
                              if tensor.data is not None), -1}
    while left:
        ready = [op for op in left if parts.on_host(op) == local and known.issuperset(op.inputs)]
        if not ready:
            local = not local
            continue
        operator = ready[0]
        left.remove(operator)
        order.append(operator)
        known.update(operator.outputs)
    return Schedule(graph=graph, parts=parts, order=tuple(order))
