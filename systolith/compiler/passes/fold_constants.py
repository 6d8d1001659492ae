from dataclasses import replace

from systolith.graph.interpreter import run_operator

__all__ = ["activations_of", "fold_constants"]

#: Positions of the operands that are activations, where it is not the first alone.
ACTIVATIONS = {"ADD": (0, 1), "TRANSPOSE_CONV": (2,)}


def activations_of(operator):
    """Tensors that ``operator`` computes with, other than weights, sizes and the like."""
    if operator.kind == "CONCATENATION":
        return operator.inputs
    return tuple(operator.inputs[n] for n in ACTIVATIONS.get(operator.kind, (0,)))


def fold_constants(graph):
    """``graph`` with constants in place of operators that compute with constants alone."""
    tensors, kept = list(graph.tensors), []
    for op in graph.operators:
        operands = {index: tensors[index].data for index in activations_of(op)}
        if op.outputs[0] in graph.outputs or any(data is None for data in operands.values()):
            kept.append(op)
            continue
        result = run_operator(replace(graph, tensors=tuple(tensors)), op, operands)
        tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], data=result)
    return replace(graph, tensors=tuple(tensors), operators=tuple(kept))
