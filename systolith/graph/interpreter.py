"""Whole graphs on the golden models."""

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from sim.golden.types import Int8
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import RecordError, UnknownOperator, Values

__all__ = ["results_of", "run_graph", "run_operator"]

#: ``run(graph, operator, values)``: the result of an operator.
Run = Callable[[Graph, Operator, Mapping[int, Int8]], Int8]


def run_operator(graph: Graph, operator: Operator, values: Mapping[int, Int8]) -> Int8:
    """The int8 result of ``operator``, whose activations are in ``values`` by index of tensor, or
    constants of the graph.

    Raises :exc:`~systolith.graph.record.UnknownOperator` for a kind without a golden model of the
    graph's rounding, and :exc:`~systolith.graph.record.RecordError` for one that gives something
    else than int8 numbers of the result's shape.
    """
    golden = operator.record.golden.get(graph.rounding)
    if golden is None:
        raise UnknownOperator(f"{operator} has no golden model of the rounding {graph.rounding}")
    if operator.record.elementwise:  # numbers of any shape
        index, = operator.activations
        activations = [values[index] if index in values else graph.tensors[index].numbers]
        expected = activations[0].shape
    else:
        activations, images = _operands(graph, operator, values)
        first, *others = graph.result(operator).shape
        expected = int(first * images), *others
    result = golden(graph, operator, *activations)
    if not isinstance(result, np.ndarray) or result.dtype != np.int8:
        raise RecordError(f"{operator}: its golden model must give an array of int8, not "
                          f"{getattr(result, 'dtype', type(result).__name__)}")
    if result.shape != expected:
        raise RecordError(f"{operator}: its golden model gives the shape {result.shape} instead of "
                          f"{expected}")
    return result


def _operands(graph: Graph, operator: Operator,
              values: Mapping[int, Int8]) -> tuple[list[Int8], Fraction]:
    """Activations of as many images as there are ``values`` of, and that number; constants are the
    same for each image."""
    known = [index for index in operator.activations if index in values]
    images = max((Fraction(len(values[index]), graph.tensors[index].shape[0]) for index in known),
                 default=Fraction(1))
    rank = max((values[index].ndim for index in known), default=0)

    def operand(index: int) -> Int8:
        if index in values:
            return values[index]
        numbers = graph.tensors[index].numbers
        return np.concatenate([numbers] * int(images)) if numbers.ndim == rank else numbers
    return [operand(index) for index in operator.activations], images


def results_of(graph: Graph, operator: Operator, values: Mapping[int, Values],
               run: Run = run_operator) -> dict[int, Values]:
    """All results of ``operator`` by index of tensor, as :func:`run_operator` or, of those that a
    runtime runs, its record gives them."""
    if operator.record.run is None:
        return {operator.outputs[0]: run(graph, operator, values)}
    operands = [values[index] for index in operator.inputs]
    return dict(zip(operator.outputs, operator.record.run(graph, operator, operands), strict=True))


def run_graph(graph: Graph, *inputs: Values, run: Run = run_operator) -> dict[int, Values]:
    """Every activation by its index of tensor, from ``inputs`` in the graph's order, int8 but for
    those that a runtime takes.

    Inputs may hold any number of images along their first axis. ``run`` computes an operator.
    """
    for index, x in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensors[index]
        if x.dtype != np.dtype(tensor.dtype):
            raise TypeError(f"input {tensor.name} must be {tensor.dtype}, not {x.dtype}")
        if tensor.shape and (x.ndim != len(tensor.shape) or x.shape[1:] != tensor.shape[1:]
                             or x.shape[0] == 0):
            raise ValueError(f"input {tensor.name} must have the shape {tensor.shape} but for the "
                             f"number of images, not {x.shape}")
    values = dict(zip(graph.inputs, inputs, strict=True))
    for operator in graph.operators:
        values |= results_of(graph, operator, values, run)
    return values
