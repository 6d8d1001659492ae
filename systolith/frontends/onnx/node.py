"""An operator of an .onnx file before it is checked, and what checks have in common."""

import math
from dataclasses import dataclass

import numpy as np

from sim.golden.conv import output_size, same_padding
from systolith.frontends.onnx.builder import Builder
from systolith.frontends.onnx.values import Activation, Constant, Refusal
from systolith.graph.ir import ModelError

__all__ = ["LARGEST", "Node", "positive", "quantisation_of", "window", "zero_points_of"]

#: Largest kernel, stride, dilation and padding that is taken for one; past it is damage.
LARGEST = 1 << 12

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
    inputs: tuple
    outputs: tuple[str, ...]
    attributes: dict
    version: int
    builder: Builder

    def attribute(self, name, kind, default):
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

    def integer(self, name, default):
        return self.attribute(name, "INT", default)

    def integers(self, name, default=()):
        return self.attribute(name, "INTS", default)

    def number(self, name, default):
        return self.attribute(name, "FLOAT", default)

    def expect(self, least, most=None, outputs=1):
        """Refuse another number of operands, or more results."""
        most = most or least
        if not least <= len(self.inputs) <= most or not 1 <= len(self.outputs) <= outputs:
            raise Refusal(f"it has {len(self.inputs)} inputs and {len(self.outputs)} outputs")

    def operand(self, position):
        """Input ``position``, or :data:`None` where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def constant(self, position, role):
        """The array of input ``position``."""
        value = self.operand(position)
        if not isinstance(value, Constant):
            raise Refusal(f"the {role} (input {position}) are not a constant")
        return value.array

    def activation(self, position, real=False):
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

    def axis(self, rank, default=None):
        """Attribute ``axis``, from 0 on."""
        axis = self.integer("axis", default)
        if axis is None or not -rank <= axis < rank:
            raise Refusal(f"its axis {axis} is not one of {rank}")
        return axis % rank


def _describe(value):
    match value:
        case Constant():
            return "a constant"
        case Activation(real=True):
            return "a dequantised activation"
        case Activation():
            return "an activation of integers"
    return {"Weights": "a dequantised constant", "Sums": "sums of int32"}.get(
        type(value).__name__, "a float that nothing has quantised")


def single(array, role):
    """The only number of ``array``."""
    if array.size != 1:
        raise Refusal(f"the {role} has {array.size} elements instead of 1")
    return array.ravel()[0]


def positive(scales, role="scale"):
    """float32 ``scales``, or :class:`Refusal` for one by which nothing can be divided."""
    if scales.dtype not in {np.dtype(np.float32), np.dtype(np.float16)}:
        raise Refusal(f"the {role} is {scales.dtype}, not float32")
    scales = scales.astype(np.float32)
    for scale in scales.ravel().tolist():
        if not 0 < scale < math.inf:
            raise Refusal(f"the {role} is {scale}, which is not positive and finite")
    return scales


def zero_points_of(array, role="zero point"):
    """``(zero points as of int8, unsigned)`` of an ``array`` of int8 or uint8."""
    if array.dtype.name not in ACTIVATIONS:
        raise Refusal(f"the {role} is {array.dtype}; only int8 and uint8 are possible")
    unsigned = ACTIVATIONS[array.dtype.name]
    return array.astype(np.int64) - 128 * unsigned, unsigned


def quantisation_of(node, position, role):
    """``(scale, zero point of int8, unsigned)``, given at ``position`` and the next one."""
    scale = single(positive(node.constant(position, f"{role} scale"), f"{role} scale"),
                   f"{role} scale")
    zero = node.operand(position + 1)
    zero = np.zeros(1, np.uint8) if zero is None else node.constant(position + 1,
                                                                    f"{role} zero point")
    zeros, unsigned = zero_points_of(zero, f"{role} zero point")
    return float(scale), int(single(zeros, f"{role} zero point")), unsigned


def window(node, size, kernel, dilated=False):
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
    ones, zeros = (1,) * (2 - rank), ((0, 0),) * (2 - rank)
    return (*ones, *outputs), {"stride": (*ones, *stride), "dilation": (*ones, *dilation),
                               "padding": (*zeros, *padding)}


def _padding(node, size, kernel, stride, dilation):
    rank = len(size)
    match node.attribute("auto_pad", "STRING", "NOTSET"):
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
            return tuple(pair[::-1] for pair in map(same_padding, size, kernel, stride, dilation))
        case other:
            raise Refusal(f"the automatic padding {other!r} is not known")


def damaged(what):
    """A :class:`~systolith.graph.ir.ModelError` for what no exporter writes."""
    return ModelError(f"the model is damaged or truncated, export or fetch it again: {what}")
