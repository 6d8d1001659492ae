"""Operators that look at one number at a time, whatever they make of it: by the runtime's own
table."""

from collections.abc import Sequence

import numpy as np

from sim.golden.types import Int8
from systolith.frontends.tflite.cut import cut
from systolith.frontends.tflite.node import Refusal, activation
from systolith.graph.attributes import Lookup
from systolith.graph.ir import Operator, Tensor
from systolith.references.host_runtime import HostRuntimeError, run_on_host

__all__ = ["ELEMENTWISE", "lookup"]

#: Operators whose result has at each place what follows from the numbers there alone, of operands
#: that are as large or have one number.
ELEMENTWISE = {
    "ABS", "ADD", "ATAN2", "CEIL", "COS", "DIV", "ELU", "EXP", "FLOOR", "FLOOR_DIV", "FLOOR_MOD",
    "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "NEG",
    "POW", "PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT",
    "SIGN", "SIN", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SUB", "TANH"}

BYTES = np.arange(-128, 128).astype(np.int8)


def lookup(data: bytes, tensors: Sequence[Tensor], number: int, kind: str,
           inputs: Sequence[int], outputs: Sequence[int], computed: set[int]) -> Operator | None:
    """An operator of a file ``data`` that is not supported as such, as a table of what the runtime
    makes of each int8; None if it is none of one number at a time."""
    varying = {index for index in inputs if index < 0 or tensors[index].data is None}
    if (kind not in ELEMENTWISE or len(inputs) > 2 or len(outputs) != 1 or outputs[0] < 0
            or len(varying) != 1):
        return None
    x, y = varying.pop(), outputs[0]
    if x < 0 or tensors[x].shape != tensors[y].shape:
        return None
    constants = [index for index in inputs if index != x]
    if any(np.unique(tensors[index].numbers).size != 1 for index in constants if
           tensors[index].dtype == "int8") or any(
               tensors[index].dtype != "int8" for index in constants):
        return None
    try:
        activation(tensors[x], "input 0")
        activation(tensors[y], "the output")
        model = cut(data, [number], [x], [y], {index: tensors[index].numbers
                                               for index in constants if index in computed})
        table = _table(model, tensors[x].shape)
    except (Refusal, HostRuntimeError):
        return None
    return Operator(kind="LOOKUP", inputs=(x,), outputs=(y,), index=number,
                    attributes=Lookup(table=tuple(table.tolist()), name=kind))


def _table(model: bytes, shape: tuple[int, ...]) -> Int8:
    """What a ``model`` of one input of a ``shape`` makes of each int8."""
    size = int(np.prod(shape))
    numbers = np.resize(BYTES, (-(-len(BYTES) // size), size))
    results = [run_on_host(model, "tflite", [each.reshape(shape)])[0].ravel() for each in numbers]
    return np.concatenate(results)[:len(BYTES)]
