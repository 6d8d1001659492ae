"""Options of operators as a .tflite file has them."""

from typing import Any

import tflite

from sim.golden.conv import same_padding
from systolith.graph.attributes import Pair, Window
from systolith.graph.ir import Operator, Tensor

__all__ = ["fused", "window_options"]


def fused(operator: Operator) -> dict[str, Any]:
    """The field of the options that holds the fused activation."""
    code = getattr(tflite.ActivationFunctionType, operator.attributes.activation)
    return {"fusedActivationFunction": code}


def window_options(operator: Operator, image: Tensor, kernel: Pair) -> dict[str, Any]:
    """Fields of the options of a window of ``kernel`` over ``image``.

    Raises :exc:`ValueError` for a padding that the format cannot say.
    """
    attributes: Window = operator.attributes
    stride, padding = attributes.stride, attributes.padding
    dilation = getattr(attributes, "dilation", (1, 1))
    same = tuple(map(same_padding, image.shape[1:3], kernel, stride, dilation))
    if padding not in {same, ((0, 0), (0, 0))}:
        raise ValueError(f"the padding of operator {operator.index} must be that of SAME, {same}, "
                         f"or none, not {padding}")
    code = tflite.Padding.SAME if padding == same else tflite.Padding.VALID
    return {"padding": code, "strideH": stride[0], "strideW": stride[1]}
