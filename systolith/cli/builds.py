"""Options by which commands name a build of the accelerator."""

from typing import Annotated

import typer

from systolith.cli.options import Cols, Lanes, PixelLanes, Requantize, Rows

__all__ = ["BoardName", "Cols", "Lanes", "PixelLanes", "Requantize", "Rows", "build_of"]

BoardName = Annotated[str | None, typer.Option(
    "--board", metavar="BOARD", help="Take the build of a board, such as icebreaker or ulx3s-45f; "
    "it cannot be combined with other options of a build.")]


def build_of(board, rows, cols, drain_lanes, requantize, **others):
    """A board, or None, and the :class:`AcceleratorParams` of it or of the other options."""
    shape = {
    "rows": rows,
    "cols": cols,
    "drain_lanes": drain_lanes,
    "requantize": requantize,
     **others}
    given = {name: value for name, value in shape.items() if value is not None}
    if board is not None:
        if said := list(given):
            raise ValueError(f"{board} names a build, so --{said[0].replace('_', '-')} cannot be "
                             "given with it")
        from boards.board import board_of

        board = board_of(board)
        return board, board.params
    from systolith.compiler.fitting import small_build

    return None, small_build(**given)
