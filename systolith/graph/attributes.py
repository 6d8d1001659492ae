"""Attributes of operators, each a frozen record; kinds with more have records of their own."""

from dataclasses import dataclass

__all__ = ["Attributes", "Clamp", "Convolution", "Pad", "Pair", "Pool", "Resize", "Sides", "Window"]

#: Lines and pixels.
Pair = tuple[int, int]

#: Before and after, for each axis.
Sides = tuple[Pair, ...]


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
    padding: Sides


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
    """Of a PAD: ``padding`` has a pair for each axis."""

    padding: Sides


@dataclass(frozen=True, kw_only=True)
class Resize(Attributes):
    """Of an enlargement that repeats each line and pixel ``factor`` times."""

    factor: Pair
