"""A graph as text that a person reads."""

from dataclasses import fields
from typing import TYPE_CHECKING

from systolith.graph.attributes import Attributes

if TYPE_CHECKING:
    from systolith.graph.ir import Graph, Operator, Tensor

__all__ = ["text_of"]


def text_of(graph: "Graph") -> str:
    """Inputs, operators and outputs, a line each, with the shape, type and scale of each tensor
    where it is computed, and the constants that an operator reads.

    ``%7 conv: int8[1, 8, 8, 16] * 0.05 @ -3`` is tensor 7, called ``conv``, whose numbers mean
    ``0.05 * (number + 3)``.
    """
    lines = [f"graph, rounding {graph.rounding}"]
    lines += [f"  input   {_described(graph, index)}" for index in graph.inputs]
    for operator in graph.operators:
        lines.append(f"  {operator.index:>5}   {_result(graph, operator)} = {operator.kind}("
                     f"{', '.join(_operand(graph, index) for index in operator.inputs)})"
                     f"{_attributes(operator.attributes)}")
    lines += [f"  output  {_named(graph, index)}" for index in graph.outputs]
    lines += [f"  state   {_named(graph, given)} = {_named(graph, result)} of the run before"
              for _, given, result in graph.kept]
    return "\n".join(lines)


def _result(graph: "Graph", operator: "Operator") -> str:
    return ", ".join(_described(graph, index) for index in operator.outputs)


def _named(graph: "Graph", index: int) -> str:
    name = graph.tensors[index].name
    return f"%{index} {name}" if name else f"%{index}"


def _operand(graph: "Graph", index: int) -> str:
    if index < 0:
        return "none"
    if graph.tensors[index].data is None:
        return f"%{index}"
    return f"const %{index}: {_type(graph.tensors[index])}"


def _described(graph: "Graph", index: int) -> str:
    tensor = graph.tensors[index]
    return f"{_named(graph, index)}: {_type(tensor)}{_scale(tensor)}"


def _type(tensor: "Tensor") -> str:
    return f"{tensor.dtype}[{', '.join(map(str, tensor.shape))}]"


def _scale(tensor: "Tensor") -> str:
    if not tensor.scales:
        return ""
    return f" * {tensor.scales[0]:.6g}" + (f" @ {tensor.zero_point}" if tensor.zero_point else "")


def _attributes(attributes: Attributes) -> str:
    shown = [f"{each.name}={getattr(attributes, each.name)}" for each in fields(attributes)
             if each.repr and getattr(attributes, each.name) != each.default]
    return f" {{{', '.join(shown)}}}" if shown else ""
