import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.builds import build_of, sdram_of
from systolith.cli.files import check_target
from systolith.cli.options import Cols, DrainLanes, Requantize, Rows, Vcd, board_names

if TYPE_CHECKING:
    from boards.board import Board
    from rtl.accelerator import AcceleratorParams

__all__ = ["announcement", "board"]


def board(
    name: Annotated[str | None, typer.Argument(
        metavar="BOARD", autocompletion=board_names, help="The board to simulate, such as "
        "icebreaker or ulx3s-45f; by default, the build that the options describe.")] = None,
    rows: Rows = None,
    cols: Cols = None,
    drain_lanes: DrainLanes = None,
    requantize: Requantize = None,
    port: Annotated[Path | None, typer.Option(
        metavar="LINK", help="Create this symbolic link to the port.")] = None,
    vcd: Vcd = None,
) -> None:
    """Simulate a board, with the pins of its UART, behind a pseudo-terminal.

    Any serial program can open the port, until Ctrl-C. A bit takes four clock cycles, fewer than on
    the board; everything else is what is synthesised. The timing of USB is not simulated.
    """
    from rtl.wording import counted
    from sim.virtual_board import PseudoTerminal, VirtualBoard
    from systolith.cli.estimates import compiling
    from systolith.cli.show import console

    chosen, params = build_of(name, rows=rows, cols=cols, drain_lanes=drain_lanes,
                              requantize=requantize)
    if vcd is not None:
        check_target(vcd)
    if port is not None:
        _make_way(port)
    with compiling("compiling the board for simulation (once)", "board", params.products):
        virtual = VirtualBoard(params, trace=vcd, **sdram_of(chosen))
    for each in (signal.SIGINT, signal.SIGTERM):  # also where a shell had it ignored
        signal.signal(each, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with PseudoTerminal(virtual) as terminal, _link(port, terminal.path):
            console.print(announcement(chosen, params, terminal.path))
            while terminal.alive:
                time.sleep(0.2)
            raise RuntimeError("the simulation ended by itself")
    except KeyboardInterrupt:
        console.print(f"ended after {counted(virtual.cycle, 'cycle')}")
    finally:
        virtual.close()


def announcement(chosen: "Board | None", params: "AcceleratorParams", path: str) -> str:
    """What is said of a virtual board, ``chosen`` or one that only has ``params``, at ``path``."""
    text = (f"a virtual {chosen.title if chosen else 'board'} of {params.array.rows} x "
            f"{params.array.cols} products is at {path}; Ctrl-C ends it")
    if chosen and chosen.link != "uart":
        text += (f"\nit has a UART there, as all virtual boards do; the real one is reached over "
                 f"{chosen.link.upper()}")
    return text


def _make_way(port: Path) -> None:
    """Refuse, before any work is done, a place where there can be no link; a link that a board
    left, as it was killed, is no obstacle."""
    if port.is_symlink() and not port.exists() and str(port.readlink()).startswith("/dev/"):
        port.unlink()
    if port.exists() or port.is_symlink():
        raise ValueError(f"{port} is there already; remove it, or give another --port")
    check_target(port)


@contextmanager
def _link(port: Path | None, target: str) -> Generator[None, None, None]:
    """Have ``port``, unless it is None, lead to ``target`` meanwhile."""
    if port is None:
        yield
        return
    _make_way(port)  # another board may have come while this one was compiled
    port.symlink_to(target)
    try:
        yield
    finally:
        if port.is_symlink() and str(port.readlink()) == target:
            port.unlink()
