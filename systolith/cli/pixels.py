"""Options that say what a network takes pixels for, and what they amount to."""

from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.options import one_of_these

if TYPE_CHECKING:
    from systolith.quantisation.calibration import Pixels

__all__ = ["Layout", "Mean", "Scale", "Size", "pixels_of", "size_of"]

Layout = Annotated[str | None, typer.Option(
    autocompletion=one_of_these("nchw", "nhwc"), help="Order of the axes of the network's input; "
    "by default, as its shape says.")]
Size = Annotated[str | None, typer.Option(
    metavar="HxW", help="Height and width, if the float network leaves them open.")]
Mean = Annotated[str, typer.Option(
    metavar="M[,M,M]", help="Mean of the pixels, for all channels or for each.")]
Scale = Annotated[str, typer.Option(
    metavar="S[,S,S]", help="What pixels less their mean are divided by.")]


def pixels_of(layout: str | None, mean: str, scale: str) -> "Pixels":
    """What these options say; raises :exc:`ValueError` for those that cannot be."""
    from rtl.validate import one_of
    from systolith.quantisation.calibration import Pixels

    if layout is not None:
        one_of("layout", layout, ("nchw", "nhwc"))
    pixels = Pixels(mean=_numbers("mean", mean), scale=_numbers("scale", scale), layout=layout)
    if 0 in pixels.scale:
        raise ValueError("--scale must not be 0: pixels are divided by it")
    return pixels


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in {1, 3}:
        raise ValueError(f"--{name} must be a number, or three with commas, not {text!r}")
    return numbers


def size_of(text: str | None) -> tuple[int, int] | None:
    """Height and width of ``text``; raises :exc:`ValueError` for what are none."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(each.isdecimal() and int(each) for each in parts):
        raise ValueError(f"--size must be height x width, such as 32x32, not {text!r}")
    return int(parts[0]), int(parts[1])
