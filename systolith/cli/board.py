import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.builds import Lanes, Requantize, build_of
from systolith.cli.files import check_target

__all__ = ["announcement", "board"]


def board(
    name: Annotated[str | None, typer.Argument(
        metavar="[BOARD]", help="The board to simulate, such as icebreaker or ulx3s-45f; by "
        "default the build that the options describe.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the array; by default 8.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the array; by default 8.")] = None,
    drain_lanes: Lanes = None,
    requantize: Requantize = None,
    port: Annotated[Path | None, typer.Option(
        help="Put a symbolic link to the port here.")] = None,
    vcd: Annotated[Path | None, typer.Option(help="Write waveforms to this file.")] = None,
):
    """Simulate a board: its FPGA, including the pins of the UART, behind a pseudo-terminal.

    Any serial program can open it, until Ctrl-C. A bit takes four clocks, fewer than on the board;
    everything else is what is synthesised. Its timing does not include that of USB.
    """
    from sim.virtual_board import PseudoTerminal, VirtualBoard
    from systolith.cli.show import console, progress

    chosen, params = build_of(name, rows, cols, drain_lanes, requantize)
    if vcd is not None:
        check_target(vcd)
    if port is not None:
        _make_way(port)
    with progress() as step:
        step("compiling the board for simulation (once)")
        virtual = VirtualBoard(params, trace=vcd, **(
            {"chip": chosen.sdram, "mhz": chosen.mhz} if chosen else {}))
    for each in (signal.SIGINT, signal.SIGTERM):  # also where a shell had it ignored
        signal.signal(each, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with PseudoTerminal(virtual) as terminal, _link(port, terminal.path):
            console.print(announcement(chosen, params, terminal.path), highlight=False)
            while terminal.alive:
                time.sleep(0.2)
            raise RuntimeError("the simulation ended by itself")
    except KeyboardInterrupt:
        console.print(f"ended after {virtual.cycle:,} cycles", highlight=False)
    finally:
        virtual.close()


def announcement(chosen, params, path):
    """What is said of a virtual board, ``chosen`` or one that only has ``params``, at ``path``."""
    text = (f"a virtual {chosen.title if chosen else 'board'} of {params.array.rows} x "
            f"{params.array.cols} products is at {path}; Ctrl-C ends it")
    if chosen and chosen.link != "uart":
        text += (f"\nit has a UART there, as all virtual boards do; the real one is reached over "
                 f"{chosen.link.upper()}")
    return text


def _make_way(port):
    """Refuse, before any work is done, a place where there can be no link; a link that a board
    left, as it was killed, is no obstacle."""
    if port.is_symlink() and not port.exists() and str(port.readlink()).startswith("/dev/"):
        port.unlink()
    if port.exists() or port.is_symlink():
        raise ValueError(f"{port} is there already; remove it, or give another --port")
    check_target(port)


@contextmanager
def _link(port, target):
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
