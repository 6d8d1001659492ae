from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.options import Baud, On

if TYPE_CHECKING:
    from systolith.diagnostics.fault_campaign import Outcome

__all__ = ["selftest"]


def selftest(
    on: On = None,
    baud: Baud = None,
    faults: Annotated[bool, typer.Option(
        "--faults", help="Instead, test the driver on a virtual board, over a link that drops, "
        "duplicates, corrupts and delays bytes, with resets and unplugged cables.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the faults.")] = None,
) -> None:
    """Test a board: its link, its memories, and the results of a known network.

    The status is 1 if anything is wrong.
    """
    if faults == (on is not None):
        raise ValueError("give either --on PORT, for a board, or --faults, for the driver")
    if faults and baud is not None:
        raise ValueError("--baud is that of a board, and --faults has none: leave it out")
    if on is not None and seed is not None:
        raise ValueError("--seed is that of --faults, of which a board has none: leave it out")
    good = _campaign(seed or 0) if on is None else _board(on, baud)
    if not good:
        raise typer.Exit(1)


def _board(on: str, baud: int | None) -> bool:
    from rtl.wording import counted
    from systolith.cli.progress import progress
    from systolith.cli.show import console
    from systolith.diagnostics.selftest import run_selftest
    from systolith.runtime.discovery import open_device

    good = True
    with open_device(on, baud) as device:
        if device.channel.pipe.latency:
            console.print(device.channel.pipe.latency, style="yellow")
        with progress() as step:
            for check in run_selftest(device, step=step):
                good &= check.good
                console.print(f"{'ok   ' if check.good else 'WRONG'} {check.name}: {check.text}",
                              style="" if check.good else "bold red")
        counts = device.channel.counts
    console.print(f"{counted(counts.bytes_out + counts.bytes_in, 'byte')} on the link, "
                  f"{counted(counts.retries, 'request')} sent again, "
                  f"{counted(counts.bad_frames, 'answer')} corrupted")
    return good


def _campaign(seed: int) -> bool:
    from sim.virtual_board import VirtualBoard
    from systolith.cli.estimates import compiling
    from systolith.cli.progress import progress
    from systolith.compiler.fitting import small_build
    from systolith.diagnostics.fault_campaign import SCENARIOS, run_campaign

    params = small_build(4, 4)
    with compiling("compiling the board for simulation (once)", "board", params.products):
        virtual = VirtualBoard(params)
    with progress(total=len(SCENARIOS)) as step:
        outcomes = list(run_campaign(virtual, seed=seed, step=step))
    _show(outcomes)
    return all(each.expected for each in outcomes)


def _show(outcomes: Sequence["Outcome"]) -> None:
    from rtl.wording import counted
    from systolith.cli.show import Table, console

    view = Table("Faults on the link of a virtual board", "scenario", "end", "bytes", "faults",
                 "retries", "seconds", text=("end",), drop=("seconds", "bytes"))
    for each in outcomes:
        view.add_row(each.name, each.end if each.expected else f"{each.end}!", f"{each.bytes:,}",
                     f"{each.faults:,}", f"{each.retries:,}", f"{each.seconds:.2f}")
    view.print()
    for word in dict.fromkeys(each.word for each in outcomes if each.word):
        console.print(f"error: {word}")
    total = {name: sum(getattr(each, name) for each in outcomes)
             for name in ("bytes", "faults", "retries")}
    ends = {end: sum(each.end == end for each in outcomes)
            for end in ("right", "error", "wrong", "hang")}
    console.print(f"{counted(total['bytes'], 'byte')} sent, "
                  f"{counted(total['faults'], 'fault')} injected, "
                  f"{counted(total['retries'], 'retry', 'retries')}; "
                  f"{counted(len(outcomes), 'run')}: {counted(ends['right'], 'right result')}, "
                  f"{counted(ends['error'], 'reported error')}, "
                  f"{counted(ends['wrong'], 'wrong result')}, {counted(ends['hang'], 'hang')}")
