import json as json_format
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.files import check_folder, check_image, check_target, writing
from systolith.cli.options import Json, board_names, one_of_these
from systolith.cli.prove import check_proof, proof_of, say_proof

if TYPE_CHECKING:
    from rich.console import Console

    from boards.board import Board
    from boards.flow.bitstream import Bitstream
    from systolith.cli.estimates import Design

__all__ = ["build"]


def build(
    board: Annotated[str, typer.Option(
        "--board", "-b", metavar="BOARD", autocompletion=board_names,
        help="The board; an unknown name lists all.")],
    seed: Annotated[int | None, typer.Option(
        min=0, help="Seed of place and route; by default, one known to meet timing.")] = None,
    frequency: Annotated[float | None, typer.Option(
        min=1, metavar="MHZ", help="Clock for the PLL to make, instead of the board's.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the array.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the array.")] = None,
    drain_lanes: Annotated[int | None, typer.Option(
        help="Channels requantised in parallel.")] = None,
    rounding: Annotated[str | None, typer.Option(
        autocompletion=one_of_these("tflm", "float32", "both"),
        help="What networks it takes: tflm (.tflite), float32 (.onnx) or both; by default, the "
        "board's.")] = None,
    standalone: Annotated[bool, typer.Option(
        "--standalone", help="Load a program from the board's flash at power-up; "
        "`systolith flash --model` puts it there.")] = False,
    output: Annotated[Path | None, typer.Option(
        "--output", "-o", metavar="FILE", help="Copy the bitstream to this file.")] = None,
    keep: Annotated[Path | None, typer.Option(
        metavar="FOLDER", help="Copy RTLIL, constraints and the placed netlist to this "
        "folder.")] = None,
    prove: Annotated[bool, typer.Option(
        "--prove", help="Simulate the placed netlist, on networks that a reference runtime runs "
        "too; as `systolith prove` does.")] = False,
    floorplan: Annotated[Path | None, typer.Option(
        metavar="FILE.png", help="Draw where each unit is placed.")] = None,
    json: Json = False,
) -> None:
    """Build a board's bitstream: the whole accelerator and its link.

    This takes minutes the first time; the result is kept. It fails if timing is not met.
    """
    from boards.board import board_of
    from boards.builds import resized
    from boards.flow.bitstream import check_timing
    from boards.flow.floorplan import draw
    from systolith.cli.estimates import building
    from systolith.cli.show import console
    from systolith.diagnostics.proof import check_provable

    chosen = board_of(board)
    if output:
        check_target(output)
    if floorplan:
        check_image(floorplan)
    if keep:
        check_folder(keep)
    if prove:
        check_provable(chosen)
    design: Design = {
        "mhz": frequency, "standalone": standalone,
        "params": resized(chosen, rows=rows, cols=cols, drain_lanes=drain_lanes,
                          rounding=rounding)}
    done = building(chosen, seed=seed, **design)
    if keep:
        _keep(keep, chosen, design, done)
    if floorplan:
        draw(done.placed, done.paths, floorplan, f"{chosen.title}, {done.clock_mhz} MHz")
    proof = proof_of(replace(chosen, params=design["params"]), done) if prove else None
    if json:
        proved = {} if proof is None else {"proof": proof.as_dict()}
        print(json_format.dumps(done.as_dict() | proved, indent=2))
    else:
        _show(console, chosen, done)
        if proof:
            say_proof(proof)
    check_timing(done)
    if proof:
        check_proof(proof)
    if output:
        with writing(output):
            shutil.copy(done.file, output)
    if not json:
        console.print(f"{output or done.file} is ready for `systolith flash --board {board}`",
                      soft_wrap=True)


def _keep(folder: Path, board: "Board", design: "Design", done: "Bitstream") -> None:
    """Put what a bitstream was made of, and itself, into a folder."""
    from boards.flow.bitstream import prepare

    folder.mkdir(parents=True, exist_ok=True)
    prepared = prepare(board, **design)
    for name, text in {"top.il": prepared.rtlil, **prepared.constraints}.items():
        (folder / name).write_text(text)
    shutil.copy(done.placed, folder / "placed.json")
    shutil.copy(done.file, folder / f"top{Path(done.file).suffix}")


def _show(console: "Console", board: "Board", done: "Bitstream") -> None:
    from boards.devices import device_of
    from systolith.cli.show import Table, made_with

    device = device_of(board.device)
    console.print(f"{board.title}: {board.hardware}")
    figures = Table("", "cells", "used", "of")
    for name, used, total in (
            ("LUTs", done.luts, device.luts), ("flip-flops", done.ffs, device.luts),
            ("multipliers", done.dsps, device.dsps), ("block RAMs", done.rams, device.rams),
            ("single-port RAMs", done.sprams, device.sprams)):
        if total:
            figures.add_row(name, f"{used:,}", f"{total:,}")
    figures.print()
    kinds = ("LUTs", "FFs", "DSPs", "RAMs")
    units = Table("Cells by unit", "unit", *kinds, drop=("RAMs", "DSPs", "FFs"), json=True)
    for unit, cells in done.units.items():
        units.add_row(unit, *(f"{cells[kind]:,}" if kind in cells else "" for kind in kinds))
    units.print()
    seconds = ", ".join(f"{step} {time:.0f} s" for step, time in done.seconds.items())
    console.print(
        f"{'meets' if done.met else 'does not meet'} timing at {done.clock_mhz} MHz: Fmax "
        f"{done.mhz} MHz (seed {done.seed})\n"
        f"{done.macs_per_cycle:,} MACs per cycle, {done.gmacs} GMAC/s\n"
        f"critical path {done.critical_path}\n{seconds}\n{made_with(done.tools)}")
    if board.note:
        console.print(f"note: {board.note}")
