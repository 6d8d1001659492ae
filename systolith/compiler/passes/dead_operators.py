from dataclasses import replace

from systolith.graph.ir import Graph

__all__ = ["remove_dead_operators"]


def remove_dead_operators(graph: Graph) -> Graph:
    """``graph`` without the operators whose results nothing reads."""
    wanted, kept = set(graph.outputs), []
    for op in reversed(graph.operators):
        if wanted.intersection(op.outputs):
            wanted.update(op.inputs)
            kept.append(op)
    return replace(graph, operators=tuple(reversed(kept)))
