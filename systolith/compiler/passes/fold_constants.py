from dataclasses import replace

from systolith.graph.interpreter import run_operator
from systolith.graph.ir import Graph

__all__ = ["fold_constants"]


def fold_constants(graph: Graph) -> Graph:
    """``graph`` with constants in place of operators that compute with constants alone."""
    tensors, kept = list(graph.tensors), []
    for op in graph.operators:
        if op.record.run is not None:
            kept.append(op)
            continue
        operands = {index: tensors[index].data for index in op.activations}
        known = {index: data for index, data in operands.items() if data is not None}
        if op.outputs[0] in graph.outputs or not operands or len(known) < len(operands):
            kept.append(op)
            continue
        result = run_operator(replace(graph, tensors=tuple(tensors)), op, known)
        tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], data=result)
    return replace(graph, tensors=tuple(tensors), operators=tuple(kept))
