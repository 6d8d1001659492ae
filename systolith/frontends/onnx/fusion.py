"""Which groups of operators on floats onnxruntime fuses into one on integers, and which it leaves.

A group is an operator between DequantizeLinear and QuantizeLinear. What it leaves it computes in
float32, in an order of additions of its own, which no integers give: that is refused here. Where
either gives the same bytes, as of functions of one number, nothing is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from systolith.frontends.onnx.builder import Builder
from systolith.frontends.onnx.values import (
    Activation,
    Finish,
    Pending,
    Refusal,
    Value,
    Weights,
)
from systolith.graph.attributes import Pair

__all__ = ["FUSED", "check", "followed"]

#: What an operator computes; several values, or none where it reads what a refused one would.
Result = Value | tuple[Value, ...] | None

#: Operators whose results depend on whether they are fused.
FUSED = {"Conv", "Gemm", "MatMul", "Add", "AveragePool", "GlobalAveragePool", "Softmax"}

#: From which version on a DequantizeLinear before an operator counts as one behind it: of
#: activations, and of weights.
SEEN_THROUGH = {"Reshape": 5, "Transpose": 1, "Squeeze": 1, "Unsqueeze": 1, "Slice": 1,
                "MaxPool": 12, "Identity": 1, "Dropout": 1}
SEEN_THROUGH_OF_WEIGHTS = {"Transpose", "Identity", "Dropout"}


def check(kind: str, names: Sequence[str], inputs: Sequence[Value | None],
          readers: Mapping[str, int], builder: Builder) -> None:
    """Refuse an operator that onnxruntime does not fuse with the DequantizeLinear before it.

    ``names`` are those of the ``inputs``, and ``readers`` how often each name is read.
    """
    for name, value in zip(names, inputs, strict=True):
        if isinstance(value, Pending) and value.fused and readers[name] > 1:
            raise Refusal(f"the result of {value.what} is read {readers[name]} times before it is "
                          "quantised, so that onnxruntime computes floats: quantise it, and let "
                          "all read what is dequantised again")
    if kind not in FUSED:
        return
    unsigned = True
    for position, (name, value) in enumerate(zip(names, inputs, strict=True)):
        if isinstance(value, Activation) and value.real:
            unsigned = builder.draft(value.tensor).unsigned
        elif isinstance(value, Weights) and position == 1 and not unsigned and (
                value.array.dtype == np.uint8):
            raise Refusal("the weights are uint8 and the activations int8, so that onnxruntime "
                          "computes floats: quantise both as int8")
        fused_pad = kind == "Conv" and readers[name] == 1
        if isinstance(value, (Activation, Weights)) and value.behind and not (
                value.behind == "Pad" and fused_pad):
            raise Refusal(f"{value.behind} stands between DequantizeLinear and it, so that "
                          "onnxruntime computes floats: quantise it in between"
                          + (", or use Reshape" if value.behind == "Flatten" else ""))


def followed(kind: str, version: int, inputs: Sequence[Value | None], value: Result,
             builder: Builder) -> Result:
    """``value``, which an operator computes of its ``inputs``, with what this file has to know of
    it later."""
    if isinstance(value, tuple):
        return tuple(_followed(kind, version, inputs, each, builder) for each in value)
    return value and _followed(kind, version, inputs, value, builder)


def _followed(kind: str, version: int, inputs: Sequence[Value | None], value: Value,
              builder: Builder) -> Value:
    if isinstance(value, Pending) and kind in FUSED:
        return replace(value, fused=True, finish=_of_one_type(value, inputs, builder))
    if kind == "DequantizeLinear" or not isinstance(value, (Activation, Weights)) or (
            isinstance(value, Activation) and not value.real):
        return value
    seen = (kind in SEEN_THROUGH_OF_WEIGHTS if isinstance(value, Weights)
            else version >= SEEN_THROUGH.get(kind, version + 1))
    behind = next((each.behind for each in inputs
                   if isinstance(each, (Activation, Weights)) and each.behind), "")
    return replace(value, behind=behind or ("" if seen else kind))


def _of_one_type(value: Pending, inputs: Sequence[Value | None], builder: Builder) -> Finish:
    """What finishes ``value``, if its result is of the type of its operands."""
    unsigned = {builder.draft(each.tensor).unsigned for each in inputs
                if isinstance(each, Activation)}

    def finish(scale: float, zero_point: int, is_unsigned: bool, bounds: Pair) -> Activation:
        if unsigned != {is_unsigned}:
            raise Refusal("its operands and its result are not all int8, or all uint8, so that "
                          "onnxruntime computes floats")
        return value.finish(scale, zero_point, is_unsigned, bounds)

    return finish
