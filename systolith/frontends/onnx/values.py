"""What a value of an .onnx file is to the importer, and in which order its numbers lie."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["Activation", "Constant", "Pending", "FloatInput", "Refusal", "Sums", "Weights",
           "in_order"]


class Refusal(Exception):
    """Why an operator is not supported."""


@dataclass(frozen=True)
class Constant:
    """Numbers that are known, of any type."""

    array: np.ndarray


@dataclass(frozen=True)
class Weights:
    """Integers that are known, with scales: one, or one for each index of ``axis``."""

    array: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int | None  #: :data:`None` for one scale.


@dataclass(frozen=True)
class Activation:
    """Numbers that come when the network runs, of tensor ``tensor``.

    ``shape`` is that of the file. The tensor's numbers may lie in another order: ``order`` has,
    for each of them, the place where the file has it.

    ``real`` numbers are the file's floats: those of the tensor with scale and zero point, between
    the bounds ``low`` and ``high``.
    """

    tensor: int
    shape: tuple[int, ...]
    order: np.ndarray = field(repr=False)
    real: bool = False
    low: float = -math.inf
    high: float = math.inf

    def moved(self, function):
        """The same numbers in the shape that ``function`` gives an array of the file's shape."""
        places = np.arange(self.order.size, dtype=np.int32).reshape(self.shape)
        moved = function(places)
        back = np.empty(self.order.size, np.int32)
        back[moved.ravel()] = places.ravel()
        return replace(self, shape=moved.shape, order=back[self.order])


@dataclass(frozen=True)
class FloatInput:
    """Real numbers that enter the network and are still to be quantised."""

    name: str
    file_shape: tuple[int, ...]  #: Of the input; what reads it may see another ``shape``.
    shape: tuple[int, ...]
    order: np.ndarray = field(repr=False)

    moved = Activation.moved


@dataclass(frozen=True)
class Pending:
    """Real numbers whose scale is still to come.

    ``finish(scale, zero_point, unsigned, range)`` appends the operator that computes them and gives
    the :class:`Activation`; ``low`` and ``high`` bound them. ``what`` names the operator.
    """

    what: str
    shape: tuple[int, ...]
    finish: Callable
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Sums:
    """int32 sums of ``layer``, and what the file makes of them until they are quantised.

    ``steps`` are ("mul" or "add", float32 for all channels or each) in their order; ``low`` and
    ``high`` bound the outcome. ``real`` says whether they are floats yet.
    """

    what: str
    layer: object
    steps: tuple = ()
    real: bool = False
    low: float = -math.inf
    high: float = math.inf

    @property
    def shape(self):
        return self.layer.shape


def in_order(shape, axis):
    """Places of numbers of ``shape`` in the file when ``axis`` comes last."""
    return np.moveaxis(np.arange(math.prod(shape), dtype=np.int32).reshape(shape), axis, -1).ravel()
