"""An operator of an .onnx file before it is checked, and what checks have in common."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from onnx import AttributeProto

from sim.golden.conv import output_size, same_padding
from sim.golden.types import Float32, Int64
from systolith.frontends.onnx.builder import Builder
from systolith.frontends.onnx.values import Activation, Constant, Refusal, Shape, Value
from systolith.graph.attributes import LARGEST, Padding, Pair
from systolith.graph.ir import ModelError

__all__ = ["LARGEST", "Append", "Converter", "Geometry", "Node", "damaged", "positive",
           "quantisation_of", "single", "window", "zero_points_of"]

#: Most elements of an image with its padding.
MOST_PADDED = 1 << 26

#: Types of attributes, as :class:`onnx.AttributeProto` numbers them.
ATTRIBUTES = {"FLOAT": 1, "INT": 2, "STRING": 3, "FLOATS": 6, "INTS": 7}

#: Types of the activations, and whether 128 is subtracted from them.
ACTIVATIONS = {"int8": False, "uint8": True}


@dataclass(frozen=True)
class Node:
    """An operator before it is checked: ``inputs`` are values of
    :mod:`systolith.frontends.onnx.values`, or
    :data:`None` where they are left out; ``version`` is that of the operator set."""

    kind: str
    name: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, AttributeProto]
    version: int
    builder: Builder

    def attribute(self, name: str, kind: str, default: Any) -> Any:
        """An attribute of ``kind``: "INT", "INTS", "FLOAT", "FLOATS" or "STRING"."""
        if name not in self.attributes:
            return default
        attribute = self.attributes[name]
        if attribute.type != ATTRIBUTES[kind]:
            raise Refusal(f"its attribute {name} is not of the type {kind}")
        match kind:
            case "INT":
                return attribute.i
            case "INTS":
                return tuple(attribute.ints)
            case "FLOAT":
                return attribute.f
            case "FLOATS":
                return tuple(attribute.floats)
        return attribute.s.decode("utf-8", "replace")

    def integer(self, name: str, default: int) -> int:
        return self.attribute(name, "INT", default)

    def integers(self, name: str) -> tuple[int, ...]:
        return self.attribute(name, "INTS", ())

    def number(self, name: str, default: float) -> float:
        return self.attribute(name, "FLOAT", default)

    def text(self, name: str, default: str) -> str:
        return self.attribute(name, "STRING", default)

    def expect(self, least: int, most: int | None = None, outputs: int = 1) -> None:
        """Refuse another number of operands, or more results."""
        most = most or least
        if not least <= len(self.inputs) <= most or not 1 <= len(self.outputs) <= outputs:
            raise Refusal(f"it has {len(self.inputs)} inputs and {len(self.outputs)} outputs")

    def operand(self, position: int) -> Value | None:
        """Input ``position``, or :data:`None` where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def constant(self, position: int, role: str) -> npt.NDArray[Any]:
        """The array of input ``position``."""
        value = self.operand(position)
        if not isinstance(value, Constant):
            raise Refusal(f"the {role} (input {position}) are not a constant")
        return value.array

    def whole(self, position: int, role: str) -> tuple[int, ...]:
        """The whole numbers of input ``position``."""
        array = self.constant(position, role)
        if not np.issubdtype(array.dtype, np.integer):
            raise Refusal(f"the {role} (input {position}) are {array.dtype}, not whole numbers")
        return tuple(array.ravel().tolist())

    def activation(self, position: int, real: bool = False) -> Activation:
        """Input ``position``, checked to be what the network computes, as integers or ``real``."""
        value = self.operand(position)
        if value is None:
            raise Refusal(f"input {position} is left out")
        if not isinstance(value, Activation) or value.real != real:
            wanted = "dequantised int8 or uint8" if real else "int8 or uint8"
            raise Refusal(f"input {position} is {_describe(value)}, not an activation of {wanted}: "
                          "quantise the whole model")
        if not value.shape:
            raise Refusal(f"input {position} is a scalar")
        return value

    def axis(self, rank: int, default: int | None = None) -> int:
        """Attribute ``axis``, from 0 on."""
        axis: int | None = self.attribute("axis", "INT", default)
        if axis is None or not -rank <= axis < rank:
            raise Refusal(f"its axis {axis} is not one of {rank}")
        return axis % rank


#: What an operator of a file becomes, or each of its results.
Converter = Callable[[Node], Value | tuple[Value, ...]]

#: ``append(node, x, scale, zero_point, unsigned)``: an operator of one activation, with the scale
#: and the zero point of its result.
Append = Callable[[Node, Activation, float, int, bool], Activation]


class Geometry(TypedDict):
    """Attributes of a window."""

    stride: Pair
    dilation: Pair
    padding: Padding


def _describe(value: Value) -> str:
    match value:
        case Constant():
            return "a constant"
        case Activation(real=True):
            return "a dequantised activation"
        case Activation():
            return "an activation of integers"
    return {"Weights": "a dequantised constant", "Sums": "sums of int32"}.get(
        type(value).__name__, "a float that nothing has quantised")


def single(array: npt.NDArray[Any], role: str) -> Any:
    """The only number of ``array``."""
    if array.size != 1:
        raise Refusal(f"the {role} has {array.size} elements instead of 1")
    return array.ravel()[0]


def positive(scales: npt.NDArray[Any], role: str = "scale") -> Float32:
    """float32 ``scales``, or :class:`Refusal` for one by which nothing can be divided."""
    if scales.dtype not in {np.dtype(np.float32), np.dtype(np.float16)}:
        raise Refusal(f"the {role} is {scales.dtype}, not float32")
    scales = scales.astype(np.float32)
    for scale in scales.ravel().tolist():
        if not 0 < scale < math.inf:
            raise Refusal(f"the {role} is {scale}, which is not positive and finite")
    return scales


def zero_points_of(array: npt.NDArray[Any], role: str = "zero point") -> tuple[Int64, bool]:
    """``(zero points as of int8, unsigned)`` of an ``array`` of int8 or uint8."""
    if array.dtype.name not in ACTIVATIONS:
        raise Refusal(f"the {role} is {array.dtype}; only int8 and uint8 are possible")
    unsigned = ACTIVATIONS[array.dtype.name]
    return array.astype(np.int64) - 128 * unsigned, unsigned


def quantisation_of(node: Node, position: int, role: str) -> tuple[float, int, bool]:
    """``(scale, zero point of int8, unsigned)``, given at ``position`` and the next one."""
    scale = single(positive(node.constant(position, f"{role} scale"), f"{role} scale"),
                   f"{role} scale")
    zero = (np.zeros(1, np.uint8) if node.operand(position + 1) is None
            else node.constant(position + 1, f"{role} zero point"))
    zeros, unsigned = zero_points_of(zero, f"{role} zero point")
    return float(scale), int(single(zeros, f"{role} zero point")), unsigned


def window(node: Node, size: Shape, kernel: Shape,
           dilated: bool = False) -> tuple[Pair, Geometry]:
    """Output size and stride, dilation and padding of a window over ``size``, (h, w) or (w,).

    What is given for one axis is completed for two.
    """
    rank = len(size)
    if len(kernel) != rank:
        raise Refusal(f"the kernel {kernel} does not go over {rank} axes")
    stride, dilation = (node.integers(name) or (1,) * rank for name in ("strides", "dilations"))
    for name, values in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if len(values) != rank or not all(1 <= value <= LARGEST for value in values):
            raise Refusal(f"the {name} {values} is not {rank} numbers between 1 and {LARGEST}")
    if not dilated and max(dilation) > 1:
        raise Refusal(f"the dilation {dilation} is not possible; only 1 is")
    padding = _padding(node, size, kernel, stride, dilation)
    if math.prod(n + sum(pair) for n, pair in zip(size, padding, strict=True)) > MOST_PADDED:
        raise Refusal(f"the padding {padding} is too much")
    outputs = tuple(map(output_size, size, kernel, stride, dilation, padding))
    if min(outputs) < 1:
        raise Refusal(f"the kernel {kernel} with dilation {dilation} is larger than {size}")
    if node.integer("ceil_mode", 0) and any(
            (n + sum(pair) - (k - 1) * d - 1) % s for n, k, s, d, pair in
            zip(size, kernel, stride, dilation, padding, strict=True)):
        raise Refusal("with ceil_mode it has windows that begin where no whole one fits; export it "
                      "with explicit padding instead")
    top, left = ((0, 0),) * (2 - rank) + padding
    return _of_two(outputs), {"stride": _of_two(stride), "dilation": _of_two(dilation),
                              "padding": (top, left)}


def _of_two(numbers: Shape) -> Pair:
    """``numbers`` of one axis, or of two, completed by 1 for the lines."""
    lines, pixels = (1,) * (2 - len(numbers)) + numbers
    return lines, pixels


def _padding(node: Node, size: Shape, kernel: Shape, stride: Shape,
             dilation: Shape) -> tuple[Pair, ...]:
    rank = len(size)
    match node.text("auto_pad", "NOTSET"):
        case "NOTSET":
            pads = node.integers("pads") or (0,) * 2 * rank
            if len(pads) != 2 * rank or not all(0 <= pad <= LARGEST for pad in pads):
                raise Refusal(f"the paddings {pads} are not {2 * rank} numbers between 0 and "
                              f"{LARGEST}")
            return tuple(zip(pads[:rank], pads[rank:], strict=True))
        case "VALID":
            return ((0, 0),) * rank
        case "SAME_UPPER":
            return tuple(map(same_padding, size, kernel, stride, dilation))
        case "SAME_LOWER":
            return tuple((after, before) for before, after in map(same_padding, size, kernel,
                                                                  stride, dilation))
        case other:
            raise Refusal(f"the automatic padding {other!r} is not known")


def damaged(what: str | Exception) -> ModelError:
    """A :class:`~systolith.graph.ir.ModelError` for what no exporter writes."""
    return ModelError(f"the model is damaged or truncated, export or fetch it again: {what}")
