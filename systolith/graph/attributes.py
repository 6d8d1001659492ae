"""Attributes of operators, each a frozen record; kinds with more have records of their own."""

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Attributes", "Clamp", "Convolution", "Foreign", "Pad", "Padding", "Pair", "Pool",
           "Resize", "Sides", "Window", "pair_of"]

#: Lines and pixels; or before and after an axis.
Pair = tuple[int, int]

#: ((top, bottom), (left, right)).
Padding = tuple[Pair, Pair]

#: Before and after, for each axis.
Sides = tuple[Pair, ...]


def pair_of(numbers: Iterable[int]) -> Pair:
    """The two of them, as a :data:`Pair`."""
    first, second = numbers
    return first, second


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Of an operator that has none."""


@dataclass(frozen=True, kw_only=True)
class Clamp(Attributes):
    """Of an operator that clamps its results: to ``range``, int8 bounds (low, high), or, where that
    is left out, to what the fused ``activation`` of TensorFlow Lite comes to in their scale."""

    activation: str = "NONE"
    range: Pair | None = None


@dataclass(frozen=True, kw_only=True)
class Window(Clamp):
    """Of a window that moves over an image by ``stride``; ``padding`` is ((top, bottom), (left,
    right))."""

    stride: Pair
    padding: Padding


@dataclass(frozen=True, kw_only=True)
class Convolution(Window):
    """Of a convolution, depthwise or not."""

    dilation: Pair


@dataclass(frozen=True, kw_only=True)
class Pool(Window):
    """Of a pool over windows of ``kernel``; with ``count_padding`` a mean counts the padding as
    zeros."""

    kernel: Pair
    count_padding: bool = False


@dataclass(frozen=True, kw_only=True)
class Pad(Attributes):
    """Of a PAD: ``padding`` has a pair for each axis, of ``fill`` or, if it is None, of zeros."""

    padding: Sides
    fill: int | None = None


@dataclass(frozen=True, kw_only=True)
class Resize(Attributes):
    """Of an enlargement that repeats each line and pixel ``factor`` times."""

    factor: Pair


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
