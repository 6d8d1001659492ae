import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.options import board_names

if TYPE_CHECKING:
    from boards.board import Board
    from boards.flow.tools import Say

__all__ = ["flash"]


def flash(
    board: Annotated[str, typer.Option(
        "--board", "-b", metavar="BOARD", autocompletion=board_names,
        help="The board that is plugged in.")],
    file: Annotated[Path | None, typer.Argument(
        metavar="BITSTREAM",
        help="What to load; by default, what `systolith build` makes.")] = None,
    volatile: Annotated[bool, typer.Option(
        "--volatile", help="Load only the FPGA, until power-off, and not the flash.")] = False,
    cable: Annotated[str | None, typer.Option(
        metavar="NAME", help="The JTAG cable, as openFPGALoader calls it, such as ft232 or "
        "usb-blaster; by default, the board's own.")] = None,
    model: Annotated[Path | None, typer.Option(
        "--model", help="A .tflite or .onnx network to put into the flash behind the bitstream, "
        "from where it is loaded at power-up.")] = None,
) -> None:
    """Load a bitstream, and with --model a network, into a board that is plugged in.

    Without BITSTREAM it is built first, which may take minutes: the board is looked for before.
    With --model, a bitstream that is given has to come from `systolith build --standalone`.
    """
    from boards.board import board_of
    from boards.flow.flash import check_bitstream, find_board, flash_arguments, flash_board
    from systolith.cli.progress import progress
    from systolith.cli.show import console

    chosen = board_of(board)
    flash_arguments(chosen, file, volatile, cable)  # refuse before anything takes time
    if model and (volatile or chosen.image_at is None):
        raise ValueError("--model goes into the flash: leave out --volatile" if volatile else
                         f"nothing is known of a flash on {chosen.title} for a network")
    if file:
        check_bitstream(chosen, file)
    if model or file is None:  # else it is looked for by loading it
        with progress() as step:
            step(f"looking for {chosen.title}")
            find_board(chosen, cable=cable)
    image = _image(model, chosen) if model else None
    file = file or _built(chosen, image is not None)
    with progress() as step:
        step(f"loading {file}")
        flash_board(chosen, file, volatile=volatile, cable=cable, say=step)
        if image is not None:
            step(f"loading {model}")
            _flash_image(chosen, image, file, cable, step)
    console.print(f"{chosen.title} is loaded")


def _image(model: Path, board: "Board") -> bytes:
    """What goes into the flash of a board for a network, which has to fit the board."""
    from systolith.compiler.choice import session_program
    from systolith.frontends.model_file import read_model
    from systolith.runtime.flash_image import program_image

    program, _ = session_program(read_model(model), board.params, compact=True, partition=False)
    return program_image(program)


def _built(board: "Board", standalone: bool) -> str:
    """The file of the board's bitstream, which meets timing."""
    from boards.flow.bitstream import check_timing
    from systolith.cli.estimates import building

    done = building(board, standalone=standalone)
    check_timing(done)
    return done.file


def _flash_image(board: "Board", image: bytes, file: str | Path, cable: str | None,
                 say: "Say") -> None:
    from boards.flow.flash import flash_image

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "model.bin")
        target.write_bytes(image)
        flash_image(board, target, file, cable=cable, say=say)
