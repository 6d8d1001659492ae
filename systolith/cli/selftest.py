from typing import Annotated

import typer

from systolith.cli.options import Baud, On

__all__ = ["selftest"]


def selftest(
    on: On = None,
    baud: Baud = None,
    faults: Annotated[bool, typer.Option(
        "--faults", help="Instead, test the driver on a virtual board, behind a pipe that loses, "
        "doubles, alters and delays bytes, with resets and pulled cables.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 0,
):
    """Test a board: its link, its memories, and the results of a known network.

    The status is 1 if anything is wrong.
    """
    if faults == (on is not None):
        raise ValueError("give either --on PORT, for a board, or --faults, for the driver")
    good = _campaign(seed) if faults else _board(on, baud)
    if not good:
        raise typer.Exit(1)


def _board(on, baud):
    from systolith.cli.show import console, progress
    from systolith.diagnostics.selftest import run_selftest
    from systolith.runtime.discovery import open_device

    good = True
    with open_device(on, baud) as device:
        if device.channel.pipe.latency:
            console.print(device.channel.pipe.latency, style="yellow", highlight=False)
        with progress() as step:
            for check in run_selftest(device, step=step):
                good &= check.good
                console.print(f"{'ok   ' if check.good else 'WRONG'} {check.name}: {check.text}",
                              style="" if check.good else "bold red", highlight=False)
        counts = device.channel.counts
    console.print(f"{counts.bytes_out + counts.bytes_in:,} bytes on the link, {counts.retries} "
                  f"requests sent again, {counts.bad_frames} answers not intact", highlight=False)
    return good


def _campaign(seed):
    from systolith.cli.show import console, progress, table
    from systolith.diagnostics.fault_campaign import SCENARIOS, run_campaign

    with progress(total=len(SCENARIOS)) as step:
        outcomes = list(run_campaign(seed=seed, step=step))
    view = table("Faults on the link of a virtual board", "scenario", "end", "bytes", "faults",
                 "retries", "seconds")
    for each in outcomes:
        view.add_row(each.name, each.end if each.expected else f"{each.end}!", f"{each.bytes:,}",
                     str(each.faults), str(each.retries), f"{each.seconds:.2f}")
    console.print(view)
    for word in dict.fromkeys(each.word for each in outcomes if each.word):
        console.print(f"said: {word}", highlight=False)
    total = {name: sum(getattr(each, name) for each in outcomes)
             for name in ("bytes", "faults", "retries")}
    ends = {end: sum(each.end == end for each in outcomes)
            for end in ("right", "error", "wrong", "hang")}
    console.print(f"{total['bytes']:,} bytes sent, {total['faults']:,} faults injected, "
                  f"{total['retries']:,} retries; {len(outcomes)} runs: {ends['right']} right "
                  f"results, {ends['error']} errors said, {ends['wrong']} wrong results, "
                  f"{ends['hang']} hangs", highlight=False)
    return all(each.expected for each in outcomes)
