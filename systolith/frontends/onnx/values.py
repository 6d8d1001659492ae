"""What a value of an .onnx file is to the importer, and in which order its numbers lie."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sim.golden.types import Float32, Int32
from systolith.graph.attributes import Pair

if TYPE_CHECKING:
    from systolith.frontends.onnx.layers import Layer

__all__ = ["Activation", "Constant", "Finish", "FloatInput", "Move", "Pending", "Refusal", "Shape",
           "Step", "Sums", "Value", "Values", "Weights", "in_order"]

Shape = tuple[int, ...]

#: Numbers in other places, or in another shape.
Move = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class Refusal(Exception):
    """Why an operator is not supported."""


@dataclass(frozen=True)
class Constant:
    """Numbers that are known, of any type."""

    array: npt.NDArray[Any]


@dataclass(frozen=True)
class Weights:
    """Integers that are known, with scales: one, or one for each index of ``axis``."""

    array: npt.NDArray[np.integer]
    scales: Float32
    zero_points: npt.NDArray[np.integer]
    axis: int | None  #: :data:`None` for one scale.
    behind: str = ""  #: As of :class:`Activation`.


@dataclass(frozen=True)
class Activation:
    """Numbers that come when the network runs, of tensor ``tensor``.

    ``shape`` is that of the file. The tensor's numbers may lie in another order: ``order`` has,
    for each of them, the place where the file has it.

    ``real`` numbers are the file's floats: those of the tensor with scale and zero point, between
    the bounds ``low`` and ``high``. They are ``behind`` an operator that keeps onnxruntime from
    seeing that they are dequantised.
    """

    tensor: int
    shape: Shape
    order: Int32 = field(repr=False)
    real: bool = False
    low: float = -math.inf
    high: float = math.inf
    behind: str = ""

    def moved(self, move: Move) -> "Activation":
        """The same numbers in the shape that ``move`` gives an array of the file's shape."""
        shape, order = _moved(self.shape, self.order, move)
        return replace(self, shape=shape, order=order)


@dataclass(frozen=True)
class FloatInput:
    """Real numbers that enter the network and are still to be quantised."""

    name: str
    file_shape: Shape  #: Of the input; what reads it may see another ``shape``.
    shape: Shape
    order: Int32 = field(repr=False)

    def moved(self, move: Move) -> "FloatInput":
        """As :meth:`Activation.moved` has it."""
        shape, order = _moved(self.shape, self.order, move)
        return replace(self, shape=shape, order=order)


def _moved(shape: Shape, order: Int32, move: Move) -> tuple[Shape, Int32]:
    places = np.arange(order.size, dtype=np.int32).reshape(shape)
    moved = move(places)
    back = np.empty(order.size, np.int32)
    back[moved.ravel()] = places.ravel()
    return moved.shape, back[order]


#: ``finish(scale, zero_point, unsigned, range)``.
Finish = Callable[[float, int, bool, Pair], Activation]


@dataclass(frozen=True)
class Pending:
    """Real numbers whose scale is still to come.

    ``finish(scale, zero_point, unsigned, range)`` appends the operator that computes them and gives
    the :class:`Activation`; ``low`` and ``high`` bound them. ``what`` names the operator, which
    onnxruntime has ``fused`` with the QuantizeLinear to come.
    """

    what: str
    shape: Shape
    finish: Finish
    low: float = -math.inf
    high: float = math.inf
    fused: bool = False


#: What the sums are multiplied by, or what is added to them.
Step = tuple[Literal["mul", "add"], npt.NDArray[Any]]


@dataclass(frozen=True)
class Sums:
    """int32 sums of ``layer``, and what the file makes of them until they are quantised.

    ``steps`` are ("mul" or "add", float32 for all channels or each) in their order; ``low`` and
    ``high`` bound the outcome. ``real`` says whether they are floats yet.
    """

    what: str
    layer: "Layer"
    steps: tuple[Step, ...] = ()
    real: bool = False
    low: float = -math.inf
    high: float = math.inf

    @property
    def shape(self) -> Shape:
        return self.layer.shape


Value = Constant | Weights | Activation | FloatInput | Pending | Sums

#: By their names in the file; None for what a refused operator would compute.
Values = dict[str, Value | None]


def in_order(shape: Shape, axis: int) -> Int32:
    """Places of numbers of ``shape`` in the file when ``axis`` comes last."""
    return np.moveaxis(np.arange(math.prod(shape), dtype=np.int32).reshape(shape), axis, -1).ravel()
