"""An operator of a .tflite file before it is checked, and what checks have in common."""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import tflite

from sim.golden.conv import output_size, same_padding
from systolith.graph import limits
from systolith.graph.attributes import LARGEST, Attributes, Padding, Pair, pair_of
from systolith.graph.ir import ModelError, Tensor

__all__ = ["DAMAGE", "LARGEST", "Geometry", "Node", "Piece", "Refusal", "activation", "constant",
           "damaged", "positive", "refuse", "same_numbers", "window"]

ACTIVATIONS = {code: name for name, code in vars(tflite.ActivationFunctionType).items()
               if isinstance(code, int)}

#: What the accessors of a damaged flatbuffer raise.
DAMAGE = (struct.error, IndexError, TypeError, ValueError, OverflowError)

#: Most elements of an image with its padding.
MOST_PADDED = 1 << 26


class Refusal(Exception):
    """Why an operator is not supported."""


class Geometry(TypedDict):
    """Attributes of a window."""

    stride: Pair
    padding: Padding


@dataclass(frozen=True)
class Node:
    """An operator before it is checked: its tensors, :data:`None` where left out, and options."""

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any  #: Of a class of the package tflite, which has no types; or None.

    def option(self, name: str) -> Any:
        """A field of the options; raises :exc:`~systolith.graph.ir.ModelError` where the file is
        damaged."""
        read = getattr(self.options, name)
        try:
            return read()
        except DAMAGE as error:
            raise damaged(error) from error

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """A vector among the options, as :meth:`option` reads a field."""
        return self.option(f"{name}AsNumpy") if self.option(f"{name}Length") else np.zeros(0, int)

    def expect(self, options: type | None, inputs: int, most: int | None = None,
               outputs: int | None = 1) -> None:
        """Refuse unless there is a table of ``options``, if any matters, enough operands, and as
        many ``outputs``, which None leaves open."""
        if options is not None and type(self.options) is not options:
            raise Refusal(f"its options are not {options.__name__}")
        if not inputs <= len(self.inputs) <= (most or inputs) or len(self.outputs) != (
                outputs or max(len(self.outputs), 1)):
            raise Refusal(f"it has {len(self.inputs)} inputs and {len(self.outputs)} outputs")

    def activation(self, position: int, rank: int | None = None) -> Tensor:
        """Input ``position``, checked to be a quantised activation."""
        return activation(self.inputs[position], f"input {position}", rank)

    def optional(self, position: int) -> Tensor | None:
        """Input ``position``, or :data:`None` where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def result(self, shape: tuple[int, ...] | None = None, number: int = 0) -> Tensor:
        """The result, or another one, checked to be a quantised activation, and to have the
        ``shape`` if given."""
        y = activation(self.outputs[number], "the output")
        if shape is not None and y.shape != shape:
            raise Refusal(f"the output ({y.name}) has the shape {y.shape}, but {shape} is what "
                          "the inputs give")
        return y

    def fused(self) -> str:
        """Name of the fused activation, whose bounds the output's scale can express."""
        name = ACTIVATIONS.get(self.option("FusedActivationFunction"), "unknown")
        refuse(limits.of_bounds(name, self.outputs[0].scale))
        return name


@dataclass(frozen=True)
class Piece:
    """What becomes of one of several results of an operator: an operator of its own, with
    ``attributes`` and the ``operands`` at these positions."""

    attributes: Attributes
    operands: tuple[int, ...]
    output: int


def activation(tensor: Tensor | None, role: str, rank: int | None = None) -> Tensor:
    """``tensor``, checked to be a quantised activation."""
    if tensor is None:
        raise Refusal(f"{role} is left out")
    role = f"{role} ({tensor.name})"
    if tensor.dtype != "int8" or tensor.unsigned:
        dtype = "uint8" if tensor.unsigned else tensor.dtype
        raise Refusal(f"{role} is {dtype}, not int8: quantise the whole model to int8")
    if tensor.data is not None:
        raise Refusal(f"{role} is a constant")
    if len(tensor.scales) != 1:
        raise Refusal(f"{role} has {len(tensor.scales)} scales instead of 1")
    positive(tensor.scales, role)
    if not -128 <= tensor.zero_point <= 127:
        raise Refusal(f"{role} has the zero point {tensor.zero_point}, which is not an int8")
    if not tensor.shape:
        raise Refusal(f"{role} is a scalar")
    if rank is not None and len(tensor.shape) != rank:
        raise Refusal(f"{role} has the shape {tensor.shape} instead of {rank} axes")
    return tensor


def positive(scales: Iterable[float], role: str) -> None:
    """Refuse scales by which nothing can be divided."""
    for scale in scales:
        if not 0 < scale < math.inf:
            raise Refusal(f"{role} has the scale {scale}, which is not positive and finite")


def constant(tensor: Tensor | None, role: str, dtype: str) -> Tensor:
    """``tensor``, checked to be a constant of ``dtype``."""
    if tensor is None or tensor.data is None:
        raise Refusal(f"the {role} are not a constant")
    if tensor.dtype != dtype:
        raise Refusal(f"the {role} ({tensor.name}) are {tensor.dtype}, not {dtype}")
    return tensor


def damaged(error: Exception) -> ModelError:
    """For what no converter writes."""
    return ModelError(f"the model is damaged or truncated, convert or fetch it again: {error}")


def refuse(complaint: str) -> None:
    """Refuse what there is a ``complaint`` about, as :mod:`systolith.graph.limits` has them."""
    if complaint:
        raise Refusal(complaint)


def same_numbers(x: Tensor, y: Tensor) -> None:
    """Refuse a ``y`` whose int8 numbers mean something else than those of ``x``."""
    refuse(limits.of_same(x, y))


def window(node: Node, size: Pair, kernel: Pair, dilation: Pair = (1, 1)) -> tuple[Pair, Geometry]:
    """Output size, stride and padding of a window over ``size`` (h, w)."""
    stride = node.option("StrideH"), node.option("StrideW")
    padding: Padding
    for name, pair in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if not all(1 <= value <= LARGEST for value in pair):
            raise Refusal(f"the {name} {pair} is not between 1 and {LARGEST}")
    match node.option("Padding"):
        case tflite.Padding.SAME:
            top, left = map(same_padding, size, kernel, stride, dilation)
            padding = top, left
        case tflite.Padding.VALID:
            padding = ((0, 0), (0, 0))
        case code:
            raise Refusal(f"the padding {code} is neither SAME nor VALID")
    if math.prod(n + sum(pair) for n, pair in zip(size, padding, strict=True)) > MOST_PADDED:
        raise Refusal(f"the kernel {kernel} with dilation {dilation} asks for the padding "
                      f"{padding}, which is too much")
    outputs = pair_of(map(output_size, size, kernel, stride, dilation, padding))
    if min(outputs) < 1:
        raise Refusal(f"the kernel {kernel} with dilation {dilation} is larger than {size}")
    return outputs, {"stride": stride, "padding": padding}
