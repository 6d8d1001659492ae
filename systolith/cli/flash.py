import tempfile
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["flash"]


def flash(
    board: Annotated[str, typer.Option(
        "--board", "-b", metavar="BOARD", help="The board that is plugged in.")],
    file: Annotated[Path | None, typer.Argument(
        metavar="[BITSTREAM]",
        help="What to load; by default what `systolith build` makes.")] = None,
    volatile: Annotated[bool, typer.Option(
        "--volatile", help="Load only the FPGA, until power-off, and not the flash.")] = False,
    cable: Annotated[str | None, typer.Option(
        metavar="NAME", help="The JTAG cable, as openFPGALoader calls it, such as ft232 or "
        "usb-blaster; by default the board's own.")] = None,
    model: Annotated[Path | None, typer.Option(
        "--model", help="A .tflite or .onnx network to put into the flash behind the bitstream, "
        "from where it is loaded at power-up.")] = None,
):
    """Load a bitstream into a board that is plugged in; with --model, a network as well.

    With --model, a bitstream that is given has to come from `systolith build --standalone`.
    """
    from boards.board import board_of
    from boards.flow.bitstream import build_bitstream, check_timing
    from boards.flow.flash import flash_arguments, flash_board, flash_image
    from systolith.cli.show import console, progress

    chosen = board_of(board)
    flash_arguments(chosen, file, volatile, cable)  # refuse before anything takes time
    if model and (volatile or chosen.image_at is None):
        raise ValueError("--model goes into the flash: leave out --volatile" if volatile else
                         f"nothing is known of a flash on {chosen.title} for a network")
    image = _image(model, chosen) if model else None
    with progress() as step:
        if file is None:
            done = build_bitstream(chosen, standalone=image is not None,
                                   progress=lambda text: step(f"{chosen.name}: {text}"))
            check_timing(done)
            file = done.file
        step(f"loading {file}")
        flash_board(chosen, file, volatile=volatile, cable=cable, say=step)
        if image is not None:
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder, "model.bin")
                target.write_bytes(image)
                step(f"loading {model}")
                flash_image(chosen, target, file, cable=cable, say=step)
    console.print(f"{chosen.title} is loaded", highlight=False)


def _image(model, board):
    """What goes into the flash of a board for a network, which has to fit the board."""
    from systolith.frontends.model_file import read_model
    from systolith.runtime.flash_image import program_image
    from systolith.runtime.session import session_program

    program, _ = session_program(read_model(model), board.params, compact=True)
    return program_image(program)
