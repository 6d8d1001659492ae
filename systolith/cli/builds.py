"""Options by which commands describe a build of the accelerator, and what they amount to."""

from typing import Annotated

import typer

__all__ = ["ActivationBytes", "Channels", "MaxLines", "ProgramWords", "WeightBytes", "build_of"]


def _memory(text):
    return Annotated[int | None, typer.Option(
        help=text, rich_help_panel="Memories of the build", show_default=False)]


ActivationBytes = _memory("Bytes of activation memory.")
WeightBytes = _memory("Bytes of weight memory.")
Channels = _memory("Output channels, of all layers, that the parameter memory holds.")
ProgramWords = _memory("Words of program memory.")
MaxLines = _memory("The most lines of an image.")


def build_of(board, **shape):
    """A board, or None, and the :class:`AcceleratorParams` of it or of what is given of ``shape``.

    Raises :exc:`ValueError` where both are given, or there is no such board or build.
    """
    given = {name: value for name, value in shape.items() if value is not None}
    if board is not None:
        if given:
            raise ValueError(f"{board} names a build, so --{next(iter(given)).replace('_', '-')} "
                             "cannot be given with it")
        from boards.board import board_of

        board = board_of(board)
        return board, board.params
    from systolith.compiler.fitting import small_build

    return None, small_build(**given)
