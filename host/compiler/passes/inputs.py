from dataclasses import replace

__all__ = ["reshape_inputs"]


def reshape_inputs(graph):
    """``graph`` whose inputs are what a RESHAPE, their only reader, makes of them: whoever writes
    the bytes of an input may write them so.
    """
    inputs, operators = list(graph.inputs), list(graph.operators)
    for op in graph.operators:
        x, y = op.inputs[0], op.outputs[0]
        if (op.kind == "RESHAPE" and x in inputs and not {x, y} & set(graph.outputs)
                and sum(x in other.inputs for other in operators) == 1):
            inputs[inputs.index(x)] = y
            operators.remove(op)
    return replace(graph, inputs=tuple(inputs), operators=tuple(operators))
