import json as json_format
import shutil
from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.files import check_folder, check_image, check_target, writing

__all__ = ["build"]


def build(
    board: Annotated[str, typer.Option(
        "--board", "-b", metavar="BOARD", help="The board; a wrong name lists all.")],
    seed: Annotated[int | None, typer.Option(
        min=0, help="Seed of place and route; by default one known to meet the clock.")] = None,
    frequency: Annotated[float | None, typer.Option(
        min=1, metavar="MHZ", help="Clock for the PLL to make, instead of the board's.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the array.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the array.")] = None,
    drain_lanes: Annotated[int | None, typer.Option(
        help="Channels that are requantised side by side.")] = None,
    standalone: Annotated[bool, typer.Option(
        "--standalone", help="Load a program from the board's flash at power-up; "
        "`systolith flash --model` puts it there.")] = False,
    output: Annotated[Path | None, typer.Option(
        "--output", "-o", metavar="FILE", help="Copy the bitstream to this file.")] = None,
    keep: Annotated[Path | None, typer.Option(
        metavar="FOLDER", help="Copy RTLIL, constraints and the placed netlist to this "
        "folder.")] = None,
    floorplan: Annotated[Path | None, typer.Option(
        metavar="FILE.png", help="Draw where each unit lies.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
):
    """Build a board's bitstream: the whole accelerator and its link.

    This takes minutes the first time; the result is kept. It fails if the clock is not met.
    """
    from boards.board import board_of
    from boards.builds import resized
    from boards.flow.bitstream import build_bitstream, check_timing, prepare
    from boards.flow.floorplan import draw
    from systolith.cli.show import console, progress

    chosen = board_of(board)
    if output:
        check_target(output)
    if floorplan:
        check_image(floorplan)
    if keep:
        check_folder(keep)
    params = resized(chosen, rows=rows, cols=cols, drain_lanes=drain_lanes)
    with progress() as step:
        def say(text):
            step(f"{chosen.name}: {text}")

        done = build_bitstream(chosen, seed=seed, mhz=frequency, params=params,
                               standalone=standalone, progress=say)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        design = prepare(chosen, mhz=frequency, params=params, standalone=standalone)
        for name, text in {"top.il": design.rtlil, **design.constraints}.items():
            (keep / name).write_text(text)
        shutil.copy(done.placed, keep / "placed.json")
        shutil.copy(done.file, keep / f"top{Path(done.file).suffix}")
    if floorplan:
        draw(done.placed, done.paths, floorplan, f"{chosen.title}, {done.clock_mhz} MHz")
    if json:
        print(json_format.dumps(done.as_dict(), indent=2))
    else:
        _show(console, chosen, done)
    check_timing(done)
    if output:
        with writing(output):
            shutil.copy(done.file, output)
    if not json:
        console.print(f"{output or done.file} is ready for `systolith flash --board {board}`",
                      highlight=False, soft_wrap=True)


def _show(console, board, done):
    from boards.devices import device_of
    from systolith.cli.show import made_with, table

    device = device_of(board.device)
    console.print(f"{board.title}: {board.hardware}", highlight=False)
    figures = table("", "", "used", "of")
    for name, used, total in (
            ("LUTs", done.luts, device.luts), ("flip-flops", done.ffs, device.luts),
            ("multipliers", done.dsps, device.dsps), ("block RAMs", done.rams, device.rams),
            ("single-port RAMs", done.sprams, device.sprams)):
        if total:
            figures.add_row(name, f"{used:,}", f"{total:,}")
    console.print(figures)
    kinds = ("LUTs", "FFs", "DSPs", "RAMs")
    units = table("Cells by unit", "unit", *kinds)
    for unit, cells in done.units.items():
        units.add_row(unit, *(f"{cells[kind]:,}" if kind in cells else "" for kind in kinds))
    console.print(units)
    seconds = ", ".join(f"{step} {time:.0f} s" for step, time in done.seconds.items())
    console.print(
        f"clock {done.clock_mhz} MHz, would bear {done.mhz} MHz (seed {done.seed})\n"
        f"{done.macs_per_cycle} MACs a cycle, {done.gmacs} GMAC/s\n"
        f"critical path {done.critical_path}\n{seconds}\n{made_with(done.tools)}",
        highlight=False)
    if board.note:
        console.print(f"note: {board.note}", highlight=False)
