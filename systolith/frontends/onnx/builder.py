"""The graph as it grows while a file is read."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden.movement import FILL
from systolith.frontends.onnx.values import Activation, Refusal, Shape, in_order
from systolith.graph.ir import Graph, Operator, Tensor, make_operator
from systolith.graph.movement import Origins

__all__ = ["FULL", "LAYOUTS", "Builder", "Draft", "Quantisation", "image_shape", "layout_of",
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

    @property
    def known(self) -> tuple[float, int]:
        """Both, of what is dequantised."""
        assert self.scale is not None and self.zero_point is not None, "the file has not told them"
        return self.scale, self.zero_point

    def completed(self, unsigned: bool) -> tuple[float, int]:
        """Both, with what no operator cares for filled in."""
        if self.zero_point is None:
            self.zero_point = -128 * unsigned
        if self.scale is None:
            self.scale = 1.0
        return self.known


@dataclass
class Draft:
    """A tensor whose scale may still be to come."""

    name: str
    shape: Shape
    quantisation: Quantisation
    unsigned: bool
    layout: str = "NHWC"
    named: bool = False  #: It has the numbers of the value of that name in the file.


@dataclass
class Builder:
    """Tensors and operators in the order in which they were found."""

    tensors: list[Draft | Tensor] = field(default_factory=list)  #: Activations, and constants.
    operators: list[Operator] = field(default_factory=list)
    #: Of float inputs, by name: their layouts, and their tensors once they are quantised.
    layouts: dict[str, str] = field(default_factory=dict)
    entered: dict[str, int] = field(default_factory=dict)
    io_tensors: set[int] = field(default_factory=set)  #: Tensors of inputs and outputs.
    elements: int = 0

    def draft(self, tensor: int) -> Draft:
        """That of an activation."""
        draft = self.tensors[tensor]
        assert isinstance(draft, Draft), f"tensor {tensor} is a constant"
        return draft

    def activation(self, name: str, shape: Iterable[int], unsigned: bool,
                   quantisation: Quantisation | None = None) -> int:
        """Index of a new activation."""
        shape = tuple(shape)
        self.elements += math.prod(shape)
        if self.elements > MOST_ELEMENTS:
            raise Refusal(f"with its result of shape {shape} the network has more than "
                          f"{MOST_ELEMENTS} activations")
        self.tensors.append(Draft(name, shape, quantisation or Quantisation(), unsigned))
        return len(self.tensors) - 1

    def enter(self, name: str, shape: Shape, unsigned: bool, layout: str) -> int:
        """Index of the tensor of an input whose axes are ``layout``."""
        if layout in {"NCHW", "NCW"}:
            shape = image_shape(shape)
        elif layout == "NWC":
            shape = (shape[0], 1, *shape[1:])
        tensor = self.activation(name, shape, unsigned)
        draft = self.draft(tensor)
        draft.layout, draft.named = layout, True
        self.io_tensors.add(tensor)
        return tensor

    def label(self, value: Activation, name: str) -> None:
        """Call the tensor of ``value`` what the file calls it first, if its numbers lie as there
        or with the channels last."""
        draft = self.draft(value.tensor)
        if not draft.named and (layout := layout_of(value, draft.shape)):
            draft.name, draft.layout, draft.named = name, layout, True

    def constant(self, name: str, data: npt.NDArray[Any], scales: Iterable[float] = ()) -> int:
        """Index of a new constant, whose channels are its last axis or, of weights, its first."""
        axis = data.ndim - 1 if data.ndim == 4 and data.shape[0] == 1 else 0
        self.tensors.append(Tensor(
            name=name, shape=data.shape, dtype=data.dtype.name, data=data, axis=axis,
            scales=tuple(float(np.float32(scale)) for scale in scales)))
        return len(self.tensors) - 1

    def append(self, kind: str, inputs: Iterable[int], name: str, shape: Iterable[int],
               unsigned: bool, quantisation: Quantisation, **attributes: Any) -> int:
        """Append an operator; index of the activation that it computes."""
        result = self.activation(name, shape, unsigned, quantisation)
        self.operators.append(make_operator(kind, tuple(inputs), (result,), attributes,
                                            len(self.operators)))
        return result

    def reshape(self, tensor: int, shape: Iterable[int],
                quantisation: Quantisation | None = None) -> int:
        """``tensor`` in another ``shape``, or with other scales."""
        draft, shape = self.draft(tensor), tuple(shape)
        if quantisation is None and draft.shape == shape:
            return tensor
        return self.append("RESHAPE", [tensor], draft.name, shape, draft.unsigned,
                           quantisation or draft.quantisation)

    def move(self, value: Activation, taken: npt.NDArray[np.integer], shape: Iterable[int],
             axis: int) -> Activation:
        """An activation of the file's ``shape`` whose ``axis`` lies last, and whose elements are
        those at ``taken`` places of ``value`` in the file, or zeros."""
        shape = tuple(shape)
        draft, order = self.draft(value.tensor), in_order(shape, axis)
        back = np.append(np.argsort(value.order), FILL)  # of which the last one stands for itself
        found = back[taken.ravel()][order].astype(np.int32)
        inner = *shape[:axis], *shape[axis + 1:], shape[axis]
        if np.array_equal(found, np.arange(value.order.size)):
            tensor = self.reshape(value.tensor, inner)
        else:
            tensor = self.append("MOVE", [value.tensor], draft.name, inner, draft.unsigned,
                                 draft.quantisation, origins=Origins.of(found.reshape(inner)))
        return replace(value, tensor=tensor, shape=shape, order=order)

    def arranged(self, value: Activation, axis: int) -> Activation:
        """``value`` with ``axis`` last."""
        if np.array_equal(value.order, in_order(value.shape, axis)):
            return value
        return self.move(value, np.arange(value.order.size), value.shape, axis)

    def quantised(self, value: Activation, scale: float, zero_point: int) -> Activation:
        """Integers ``value``, which whoever reads them takes for numbers of that ``scale``."""
        draft = self.draft(value.tensor)
        known = draft.quantisation
        if known.scale is None and known.zero_point in {None, zero_point}:
            known.scale, known.zero_point = scale, zero_point
        if (known.scale, known.zero_point) == (scale, zero_point):
            return value
        tensor = self.reshape(value.tensor, draft.shape, Quantisation(scale, zero_point))
        return Activation(tensor, value.shape, value.order, value.real)

    def image(self, value: Activation) -> int:
        """The tensor (n, h, w, c) of ``value``, whose axes in the file are (n, c, h, w)."""
        if len(value.shape) not in {3, 4}:
            raise Refusal(f"its input has the shape {value.shape} instead of 3 or 4 axes")
        value = self.arranged(value, 1)
        return self.reshape(value.tensor, image_shape(value.shape))

    def result(self, tensor: int, shape: Iterable[int], axis: int = 1) -> Activation:
        """The :class:`Activation` of a ``tensor`` whose last axis is ``axis`` in the file."""
        shape = tuple(shape)
        return Activation(tensor, shape, in_order(shape, axis % len(shape)))

    def graph(self, inputs: Iterable[int], outputs: Iterable[int]) -> Graph:
        """The finished :class:`~systolith.graph.ir.Graph`."""
        tensors = []
        for draft in self.tensors:
            if isinstance(draft, Draft):
                scale, zero_point = draft.quantisation.completed(draft.unsigned)
                name = draft.name if draft.named else f"part of {draft.name}"
                draft = Tensor(name=name, shape=draft.shape, layout=draft.layout,
                               scales=(scale,), unsigned=draft.unsigned, zero_point=zero_point)
            tensors.append(draft)
        return Graph(tensors=tuple(tensors), operators=tuple(self.operators), inputs=tuple(inputs),
                     outputs=tuple(outputs), rounding="float32")


def image_shape(shape: Sequence[int]) -> Shape:
    """(n, h, w, c) of a shape (n, c, h, w) or (n, c, w)."""
    n, channels, *size = shape
    return (n, *(1,) * (2 - len(size)), *size, channels)


#: Layouts by number of axes: what ends with the channels, and what does not.
LAYOUTS = {3: ("NWC", "NCW"), 4: ("NHWC", "NCHW")}


def layout_of(value: Activation, shape: Shape) -> str | None:
    """Layout of a tensor of ``shape`` that holds ``value``, or :data:`None` if there is none."""
    rank = len(value.shape)
    last, first = LAYOUTS.get(rank, ("NHWC", ""))
    if first and shape == image_shape(value.shape) and np.array_equal(
            value.order, in_order(value.shape, 1)):
        return first
    if np.array_equal(value.order, np.arange(value.order.size)):
        if shape == value.shape:
            return "NHWC"
        if rank == 3 and shape == (value.shape[0], 1, *value.shape[1:]):
            return last
    return None


def rows_of(value: Activation) -> tuple[int, npt.NDArray[np.integer]]:
    """``(rows, order)``: ``value`` as rows of its last axis, all in the same ``order``, or
    :class:`Refusal`."""
    width = value.shape[-1]
    rows = math.prod(value.shape[:-1])
    places = value.order.reshape(rows, width) - width * np.arange(rows)[:, None]
    if np.any(places != places[0]) or np.any(np.sort(places[0]) != np.arange(width)):
        raise Refusal(f"its input of shape {value.shape} was transposed or reshaped so that its "
                      "rows are torn apart")
    return rows, places[0]
