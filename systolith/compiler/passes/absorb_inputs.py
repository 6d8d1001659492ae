from dataclasses import replace

__all__ = ["absorb_input_reshapes"]


def absorb_input_reshapes(graph):
    """``graph`` without the operators that are no work for whoever writes its inputs: a RESHAPE, or
    a QUANTIZE to the same scale, that is the only reader. The inputs are their results instead.
    """
    inputs, operators = list(graph.inputs), list(graph.operators)
    for op in graph.operators:
        x, y = op.inputs[0], op.outputs[0]
        if (_moves(graph, op) and x in inputs and not {x, y} & set(graph.outputs)
                and sum(x in other.inputs for other in operators) == 1):
            inputs[inputs.index(x)] = y
            operators.remove(op)
    return replace(graph, inputs=tuple(inputs), operators=tuple(operators))


def _moves(graph, operator):
    """Whether the result of ``operator`` has the bytes of its operand."""
    x, y = graph.operand(operator, 0), graph.result(operator)
    return operator.kind == "RESHAPE" or (
        operator.kind == "QUANTIZE" and (x.scales, x.zero_point) == (y.scales, y.zero_point)
        and operator.attributes.get("range", (-128, 127)) == (-128, 127))
