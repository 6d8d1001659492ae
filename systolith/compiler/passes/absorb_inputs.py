from dataclasses import replace

from systolith.graph.ir import Graph

__all__ = ["absorb_input_reshapes"]


def absorb_input_reshapes(graph: Graph) -> Graph:
    """``graph`` without the operators that are no work for whoever writes its inputs: one whose
    result has the bytes of its operand, and is the only reader of an input. The inputs are their
    results instead."""
    inputs, operators = list(graph.inputs), list(graph.operators)
    for op in graph.operators:
        if len(op.activations) != 1:
            continue
        x, y = op.activations[0], op.outputs[0]
        if (op.record.same_bytes(graph, op) and x in inputs and not {x, y} & set(graph.outputs)
                and sum(x in other.inputs for other in operators) == 1):
            inputs[inputs.index(x)] = y
            operators.remove(op)
    return replace(graph, inputs=tuple(inputs), operators=tuple(operators))
