"""From operators to the arguments of golden models, and what records have in common."""

from collections.abc import Callable, Mapping
from typing import Any

from sim.golden.types import Int8
from systolith.graph.ir import Graph, Operator

__all__ = ["Arguments", "Golden", "between_scales", "clamped", "input_and_result", "mapped",
           "of_input", "requantised", "result_like", "same_numbers"]

#: ``run(graph, operator, *activations)``, or the golden model behind it, which takes others too.
Golden = Callable[..., Int8]

#: Keyword arguments of a golden model.
Arguments = Callable[[Graph, Operator], Mapping[str, Any]]


def clamped(graph: Graph, operator: Operator) -> dict[str, int]:
    """Bounds of the results."""
    low, high = graph.clamp(operator)
    return {"low": low, "high": high}


def input_and_result(graph: Graph, operator: Operator) -> dict[str, list[Any]]:
    """Scales and zero points of the first activation and of the result."""
    both = graph.activation(operator), graph.result(operator)
    return {"scales": [each.scale for each in both],
            "zero_points": [each.zero_point for each in both]}


def requantised(graph: Graph, operator: Operator) -> dict[str, Any]:
    """Scale and zero point of the first activation and of the result, and bounds of the results,
    as the golden models of the rounding float32 take them."""
    x, y = graph.activation(operator), graph.result(operator)
    return {"input_scale": x.scale, "input_zero_point": x.zero_point, "scale": y.scale,
            "zero_point": y.zero_point, **clamped(graph, operator)}


def mapped(function: Golden, arguments: Arguments, *names: str) -> Golden:
    """The golden model ``function`` with the keyword ``arguments`` of an operator, and those of its
    attributes that have these ``names``."""
    def run(graph: Graph, operator: Operator, *operands: Int8) -> Int8:
        attributes = {name: getattr(operator.attributes, name) for name in names}
        return function(*operands, **arguments(graph, operator), **attributes)
    return run


def of_input(function: Golden) -> Golden:
    """``function`` of numbers whose scale and zero point are those of the input."""
    def arguments(graph: Graph, operator: Operator) -> dict[str, Any]:
        x = graph.activation(operator)
        return {"scale": x.scale, "zero_point": x.zero_point}
    return mapped(function, arguments)


def between_scales(function: Golden, *names: str) -> Golden:
    """``function`` that takes numbers from the input's scale to that of the result."""
    return mapped(function, input_and_result, *names)


def result_like(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The shape of the first activation."""
    return graph.activation(operator).shape


def same_numbers(graph: Graph, operator: Operator) -> str:
    """A complaint unless int8 numbers mean the same in all activations and in the result."""
    y = graph.result(operator)
    for index in operator.activations:
        x = graph.tensors[index]
        if (x.scale, x.zero_point) != (y.scale, y.zero_point):
            return (f"its operand {x.name} and its result differ in scale or zero point: "
                    f"{x.scale}, {x.zero_point} and {y.scale}, {y.zero_point}")
    return ""
