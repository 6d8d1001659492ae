"""Options by which commands describe a build of the accelerator, and what they amount to."""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer
from typer.models import OptionInfo

if TYPE_CHECKING:
    from boards.board import Board
    from rtl.accelerator import AcceleratorParams
    from rtl.memory.sdram import SdramChip

__all__ = ["ActivationBytes", "Build", "Channels", "MaxLines", "ProgramWords", "WeightBytes",
           "build_of", "sdram_of"]

#: A board, or None, and the parameters of a build.
Build = tuple["Board | None", "AcceleratorParams"]


class Sdram(TypedDict, total=False):
    """What a simulation takes of a board for its SDRAM: the chip, and the clock."""

    chip: "SdramChip | None"
    mhz: float


def _memory(text: str) -> OptionInfo:
    return typer.Option(help=text, rich_help_panel="Memories of the build", show_default=False)


ActivationBytes = Annotated[int | None, _memory("Bytes of activation memory.")]
WeightBytes = Annotated[int | None, _memory("Bytes of weight memory.")]
Channels = Annotated[int | None, _memory(
    "Output channels, of all layers, that the parameter memory holds.")]
ProgramWords = Annotated[int | None, _memory("Words of program memory.")]
MaxLines = Annotated[int | None, _memory("The most lines of an image.")]


def build_of(board: str | None, **shape: int | str | None) -> Build:
    """A board, or None, and the :class:`AcceleratorParams` of it or of what is given of ``shape``.

    Raises :exc:`ValueError` where both are given, or there is no such board or build.
    """
    given: dict[str, Any] = {name: value for name, value in shape.items() if value is not None}
    if board is not None:
        if given:
            raise ValueError(f"{board} names a build, so --{next(iter(given)).replace('_', '-')} "
                             "cannot be given with it")
        from boards.board import board_of

        chosen = board_of(board)
        return chosen, chosen.params
    from systolith.compiler.fitting import small_build

    return None, small_build(**given)


def sdram_of(board: "Board | None") -> Sdram:
    """The :class:`Sdram` of a board; none of it without a board."""
    return {"chip": board.sdram, "mhz": board.mhz} if board else {}
