"""Options by which several commands describe a core."""

from typing import Annotated

import typer

__all__ = ["Baud", "BufferBytes", "Cols", "Core", "Depth", "FirRows", "Lanes", "Multipliers",
           "On", "PixelLanes", "Requantize", "Rounding", "Rows", "WordBytes"]

Core = Annotated[str, typer.Argument(
    metavar="CORE", help="array, im2col, requantizer, gemm, conv2d or accelerator.")]
Rows = Annotated[int, typer.Option(help="Rows of the array: taps at a time, 1 to 32.")]
Cols = Annotated[int, typer.Option(help="Columns of the array: filters at a time, 1 to 32.")]
Multipliers = Annotated[int | None, typer.Option(
    help="The most multipliers (DSPs) to use; the other products are made of LUTs.")]
FirRows = Annotated[int | None, typer.Option(
    help="Rows that can work as filters of depthwise layers; 0 for none.")]
Depth = Annotated[int | None, typer.Option(help="Pixels that the accumulators hold.")]
Lanes = Annotated[int | None, typer.Option(help="Channels requantised side by side.")]
PixelLanes = Annotated[int | None, typer.Option(
    help="Arrays side by side, each on lines of its own, 1 to 4.")]
Requantize = Annotated[int | None, typer.Option(
    help="Cycles of a requantisation: 1, 2, 3, 4 or 6; 0 (gemm only) leaves int32 sums.")]
Rounding = Annotated[str | None, typer.Option(
    help="Rounding: tflm, float32 (half to even, as LiteRT and onnxruntime), or both.")]
WordBytes = Annotated[int | None, typer.Option(
    help="Bytes that enter in a cycle, a power of two.")]
BufferBytes = Annotated[int | None, typer.Option(help="Size of the line buffer, a power of two.")]
On = Annotated[str | None, typer.Option(
    "--on", metavar="PORT", help="Port of a board: a serial one, such as /dev/ttyUSB1, or "
    "spi:BUS.DEVICE.")]
Baud = Annotated[int | None, typer.Option(
    help="Baud rate of the board; by default those that boards are built for are tried.")]
