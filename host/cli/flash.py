from pathlib import Path
from typing import Annotated

import typer

__all__ = ["flash"]


def flash(
    board: Annotated[str, typer.Option(
        "--board", "-b", metavar="BOARD", help="The board that is plugged in.")],
    file: Annotated[Path | None, typer.Argument(
        metavar="[BITSTREAM]",
        help="What to load; left out, what `systolith build` makes.")] = None,
    volatile: Annotated[bool, typer.Option(
        "--volatile", help="Load the FPGA alone, until the power goes; not the flash.")] = False,
):
    """Load a bitstream into a board that is plugged in."""
    from boards.bitstream import build_bitstream, check_timing
    from boards.board import board_of
    from boards.flash import flash_arguments, flash_board
    from host.cli.show import console, progress

    chosen = board_of(board)
    flash_arguments(chosen, file, volatile)  # refuse before anything takes time
    with progress() as step:
        if file is None:
            done = build_bitstream(chosen, progress=lambda text: step(f"{chosen.name}: {text}"))
            check_timing(done)
            file = done.file
        step(f"loading {file}")
        flash_board(chosen, file, volatile=volatile, say=step)
    console.print(f"{chosen.title} is loaded", highlight=False)
