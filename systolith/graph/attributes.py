"""Attributes of operators, each a frozen record; kinds with more have records of their own."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from sim.golden.operators import BOUNDS

__all__ = ["LARGEST", "Attributes", "Clamp", "Convolution", "Foreign", "Lookup", "Mean", "Pad",
           "Padding", "Pair", "Pool", "Resize", "Sides", "Window", "pair_of"]

#: Lines and pixels; or before and after an axis.
Pair = tuple[int, int]

#: ((top, bottom), (left, right)).
Padding = tuple[Pair, Pair]

#: Before and after, for each axis.
Sides = tuple[Pair, ...]

#: Largest kernel, stride, dilation and padding: what is past it is no geometry.
LARGEST = 1 << 12


def pair_of(numbers: Iterable[int]) -> Pair:
    """The two of them, as a :data:`Pair`."""
    first, second = numbers
    return first, second


def _outside(name: str, numbers: tuple[int, ...], least: int) -> str:
    """A complaint unless all ``numbers`` lie between ``least`` and :data:`LARGEST`."""
    if all(least <= number <= LARGEST for number in numbers):
        return ""
    return f"its {name} must lie between {least} and {LARGEST}, not {numbers}"


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Of an operator that has none."""

    def complaint(self) -> str:
        """What is wrong with them by themselves, or ""."""
        return next((f"its {each.name} must be finite, not {value}" for each in fields(self)
                     if isinstance(value := getattr(self, each.name), float)
                     and not math.isfinite(value)), "")


@dataclass(frozen=True, kw_only=True)
class Clamp(Attributes):
    """Of an operator that clamps its results: to ``range``, int8 bounds (low, high), or, where that
    is left out, to what the fused ``activation`` of TensorFlow Lite comes to in their scale."""

    activation: str = "NONE"
    range: Pair | None = None

    def complaint(self) -> str:
        if self.activation not in BOUNDS:
            return (f"the fused activation {self.activation} is not one of "
                    f"{', '.join(BOUNDS)}")
        if self.range is not None and not -128 <= self.range[0] <= self.range[1] <= 127:
            return f"its range must be bounds of int8, the lower one first, not {self.range}"
        return super().complaint()


@dataclass(frozen=True, kw_only=True)
class Window(Clamp):
    """Of a window that moves over an image by ``stride``; ``padding`` is ((top, bottom), (left,
    right))."""

    stride: Pair
    padding: Padding

    def complaint(self) -> str:
        return (_outside("stride", self.stride, 1) or _outside("padding", sum(self.padding, ()), 0)
                or super().complaint())


@dataclass(frozen=True, kw_only=True)
class Convolution(Window):
    """Of a convolution, depthwise or not."""

    dilation: Pair

    def complaint(self) -> str:
        return _outside("dilation", self.dilation, 1) or super().complaint()


@dataclass(frozen=True, kw_only=True)
class Pool(Window):
    """Of a pool over windows of ``kernel``; with ``count_padding`` a mean counts the padding as
    zeros."""

    kernel: Pair
    count_padding: bool = False

    def complaint(self) -> str:
        return _outside("kernel", self.kernel, 1) or super().complaint()


@dataclass(frozen=True, kw_only=True)
class Mean(Clamp):
    """Of a mean over ``axes``, which the result has as axes of 1 or not at all; None stands for all
    lines and pixels."""

    axes: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Pad(Attributes):
    """Of a PAD: ``padding`` has a pair for each axis, of ``fill`` or, if it is None, of zeros."""

    padding: Sides
    fill: int | None = None

    def complaint(self) -> str:
        if self.fill is not None and not -128 <= self.fill <= 127:
            return f"its fill must be an int8, not {self.fill}"
        return _outside("padding", sum(self.padding, ()), 0)


@dataclass(frozen=True, kw_only=True)
class Resize(Attributes):
    """Of an enlargement that repeats each line and pixel ``factor`` times."""

    factor: Pair

    def complaint(self) -> str:
        return _outside("factor", self.factor, 1)


@dataclass(frozen=True, kw_only=True)
class Foreign(Attributes):
    """Of what a runtime runs: a ``model`` of the format ``form``, with the operators of the file
    that it has, by their numbers and names, and why they are not on the accelerator. ``macs`` are
    the products that it takes."""

    model: bytes = field(repr=False)
    form: str
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    reason: str
    macs: int = 0


@dataclass(frozen=True, kw_only=True)
class Lookup(Attributes):
    """Of any function of one number: its ``table``, of -128 first, and its ``name`` in the file."""

    table: tuple[int, ...] = field(repr=False)
    name: str = ""

    def complaint(self) -> str:
        if len(self.table) != 256 or not all(-128 <= each <= 127 for each in self.table):
            return f"the table must have 256 int8 numbers, not {len(self.table)} others"
        return ""
