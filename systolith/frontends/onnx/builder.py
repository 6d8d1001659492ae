"""The graph as it grows while a file is read."""

import math
from dataclasses import dataclass, field

import numpy as np

from systolith.frontends.onnx.values import Activation, Refusal, in_order
from systolith.graph.ir import Graph, Tensor, make_operator

__all__ = ["FULL", "Builder", "LAYOUTS", "Quantisation", "layout_of", "image_shape",
           "rows_of"]

#: Range of results that nothing bounds.
FULL = (-128, 127)

#: Most numbers that all activations together may have.
MOST_ELEMENTS = 1 << 25


@dataclass
class Quantisation:
    """Scale and zero point, of int8, that tensors share; the file may tell them late, or never."""

    scale: float | None = None
    zero_point: int | None = None

    def completed(self, unsigned):
        """Itself, with what no operator cares for filled in."""
        if self.zero_point is None:
            self.zero_point = -128 * unsigned
        if self.scale is None:
            self.scale = 1.0
        return self


@dataclass
class Draft:
    """A tensor whose scale may still be to come."""

    name: str
    shape: tuple[int, ...]
    quantisation: Quantisation
    unsigned: bool
    layout: str = "NHWC"
    named: bool = False  #: It has the numbers of the value of that name in the file.


@dataclass
class Builder:
    """Tensors and operators in the order in which they were found."""

    tensors: list = field(default_factory=list)
    operators: list = field(default_factory=list)
    layouts: dict = field(default_factory=dict)  #: Of float inputs, by name.
    entered: dict = field(default_factory=dict)  #: Tensors of float inputs once quantised, by name.
    io_tensors: set = field(default_factory=set)      #: Tensors of inputs and outputs.
    elements: int = 0

    def activation(self, name, shape, unsigned, quantisation=None):
        """Index of a new activation."""
        self.elements += math.prod(shape)
        if self.elements > MOST_ELEMENTS:
            raise Refusal(f"with its result of shape {tuple(shape)} the network has more than "
                          f"{MOST_ELEMENTS} activations")
        self.tensors.append(Draft(name, tuple(shape), quantisation or Quantisation(), unsigned))
        return len(self.tensors) - 1

    def enter(self, name, shape, unsigned, layout):
        """Index of the tensor of an input whose axes are ``layout``."""
        if layout in {"NCHW", "NCW"}:
            shape = image_shape(shape)
        elif layout == "NWC":
            shape = (shape[0], 1, *shape[1:])
        tensor = self.activation(name, shape, unsigned)
        self.tensors[tensor].layout, self.tensors[tensor].named = layout, True
        self.io_tensors.add(tensor)
        return tensor

    def label(self, value, name):
        """Call the tensor of ``value`` what the file calls it first, if its numbers lie as there
        or with the channels last."""
        draft = self.tensors[value.tensor]
        if not draft.named and (layout := layout_of(value, draft.shape)):
            draft.name, draft.layout, draft.named = name, layout, True

    def constant(self, name, data, scales=()):
        """Index of a new constant, whose channels are its last axis or, of weights, its first."""
        axis = data.ndim - 1 if data.ndim == 4 and data.shape[0] == 1 else 0
        self.tensors.append(Tensor(
            name=name, shape=data.shape, dtype=data.dtype.name, data=data, axis=axis,
            scales=tuple(float(np.float32(scale)) for scale in scales)))
        return len(self.tensors) - 1

    def append(self, kind, inputs, name, shape, unsigned, quantisation, **attributes):
        """Append an operator; index of the activation that it computes."""
        result = self.activation(name, shape, unsigned, quantisation)
        self.operators.append(make_operator(kind, tuple(inputs), (result,), attributes,
                                            len(self.operators)))
        return result

    def reshape(self, tensor, shape, quantisation=None):
        """``tensor`` in another ``shape``, or with other scales."""
        draft = self.tensors[tensor]
        if quantisation is None and draft.shape == tuple(shape):
            return tensor
        return self.append("RESHAPE", [tensor], draft.name, shape, draft.unsigned,
                           quantisation or draft.quantisation)

    def quantised(self, value, scale, zero_point):
        """Integers ``value``, which whoever reads them takes for numbers of that ``scale``."""
        draft = self.tensors[value.tensor]
        known = draft.quantisation
        if known.scale is None and known.zero_point in {None, zero_point}:
            known.scale, known.zero_point = scale, zero_point
        if (known.scale, known.zero_point) == (scale, zero_point):
            return value
        tensor = self.reshape(value.tensor, draft.shape, Quantisation(scale, zero_point))
        return Activation(tensor, value.shape, value.order, value.real)

    def image(self, value):
        """The tensor (n, h, w, c) of ``value``, whose axes in the file are (n, c, h, w)."""
        if len(value.shape) not in {3, 4}:
            raise Refusal(f"its input has the shape {value.shape} instead of 3 or 4 axes")
        if not np.array_equal(value.order, in_order(value.shape, 1)):
            raise Refusal(f"its input of shape {value.shape} was transposed or reshaped to other "
                          "axes than (n, c, h, w)")
        return self.reshape(value.tensor, image_shape(value.shape))

    def result(self, tensor, shape, axis=1):
        """The :class:`Activation` of a ``tensor`` whose last axis is ``axis`` in the file."""
        return Activation(tensor, tuple(shape), in_order(shape, axis % len(shape)))

    def graph(self, inputs, outputs):
        """The finished :class:`~systolith.graph.ir.Graph`."""
        tensors = []
        for draft in self.tensors:
            if isinstance(draft, Draft):
                quantisation = draft.quantisation.completed(draft.unsigned)
                name = draft.name if draft.named else f"part of {draft.name}"
                draft = Tensor(name=name, shape=draft.shape, layout=draft.layout,
                               scales=(quantisation.scale,), unsigned=draft.unsigned,
                               zero_point=quantisation.zero_point)
            tensors.append(draft)
        return Graph(tensors=tuple(tensors), operators=tuple(self.operators), inputs=tuple(inputs),
                     outputs=tuple(outputs), rounding="float32")


def image_shape(shape):
    """(n, h, w, c) of a shape (n, c, h, w) or (n, c, w)."""
    n, channels, *size = shape
    return (n, *(1,) * (2 - len(size)), *size, channels)


#: Layouts by number of axes: what ends with the channels, and what does not.
LAYOUTS = {3: ("NWC", "NCW"), 4: ("NHWC", "NCHW")}


def layout_of(value, shape):
    """Layout of a tensor of ``shape`` that holds ``value``, or :data:`None` if there is none."""
    rank = len(value.shape)
    last, first = LAYOUTS.get(rank, ("NHWC", None))
    if first and shape == image_shape(value.shape) and np.array_equal(
            value.order, in_order(value.shape, 1)):
        return first
    if np.array_equal(value.order, np.arange(value.order.size)):
        if shape == value.shape:
            return "NHWC"
        if rank == 3 and shape == (value.shape[0], 1, *value.shape[1:]):
            return last
    return None


def rows_of(value):
    """``(rows, order)``: ``value`` as rows of its last axis, all in the same ``order``, or
    :class:`Refusal`."""
    width = value.shape[-1]
    rows = math.prod(value.shape[:-1])
    places = value.order.reshape(rows, width) - width * np.arange(rows)[:, None]
    if np.any(places != places[0]) or np.any(np.sort(places[0]) != np.arange(width)):
        raise Refusal(f"its input of shape {value.shape} was transposed or reshaped so that its "
                      "rows are torn apart")
    return rows, places[0]
