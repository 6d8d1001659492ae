"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Baud", "BoardName", "BufferBytes", "Cols", "Core", "Depth", "FirRows", "Json",
           "DrainLanes",
           "Multipliers", "On", "PixelLanes", "Requantize", "Rounding", "Rows", "Vcd", "WordBytes",
           "board_names", "device_names", "one_of_these"]


def board_names(incomplete: str) -> list[str]:
    """For shells: boards whose names begin so."""
    from boards.board import boards

    return [name for name in boards() if name.startswith(incomplete)]


def device_names(incomplete: str) -> list[str]:
    """For shells: devices whose names begin so."""
    from boards.devices import DEVICES

    return [name for name in DEVICES if name.startswith(incomplete)]


def one_of_these(*names: str) -> Callable[[str], list[str]]:
    """What completes one of ``names`` for shells."""
    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


Core = Annotated[str, typer.Argument(
    metavar="CORE", help="array, im2col, requantizer, gemm, conv2d or accelerator.",
    autocompletion=one_of_these("array", "im2col", "requantizer", "gemm", "conv2d",
                                "accelerator"))]
BoardName = Annotated[str | None, typer.Option(
    "--board", "-b", metavar="BOARD", autocompletion=board_names,
    help="Use the build of this board, such as icebreaker or ulx3s-45f; not with other options of "
    "a build.")]
Rows = Annotated[int | None, typer.Option(
    help="Rows of the array, 1 to 32: taps per cycle. By default 8.", show_default=False)]
Cols = Annotated[int | None, typer.Option(
    help="Columns of the array, 1 to 32: filters per cycle. By default 8.", show_default=False)]
Multipliers = Annotated[int | None, typer.Option(
    help="The most multipliers (DSPs) to use; the other products are made of LUTs.")]
FirRows = Annotated[int | None, typer.Option(
    help="Rows that can work as filters of depthwise layers; 0 for none.")]
Depth = Annotated[int | None, typer.Option(help="Pixels that the accumulators hold.")]
DrainLanes = Annotated[int | None, typer.Option(help="Channels requantised in parallel.")]
PixelLanes = Annotated[int | None, typer.Option(
    help="Arrays in parallel, 1 to 4, each on lines of its own.")]
Requantize = Annotated[int | None, typer.Option(
    help="Cycles per requantisation: 1, 2, 3, 4 or 6; 0 (gemm only) leaves int32 sums.")]
Rounding = Annotated[str | None, typer.Option(
    help="tflm, float32 (half to even, as LiteRT and onnxruntime) or both.",
    autocompletion=one_of_these("tflm", "float32", "both"))]
WordBytes = Annotated[int | None, typer.Option(
    help="Input bytes per cycle, a power of two.")]
BufferBytes = Annotated[int | None, typer.Option(
    help="Size of the line buffer in bytes, a power of two.")]
On = Annotated[str | None, typer.Option(
    "--on", metavar="PORT", help="Port of a board: a serial port such as /dev/ttyUSB1, or "
    "spi:BUS.DEVICE.")]
Baud = Annotated[int | None, typer.Option(
    help="Baud rate of the board; by default, those that boards are built for are tried.")]
Vcd = Annotated[Path | None, typer.Option(metavar="FILE.vcd", help="Write waveforms to this file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
