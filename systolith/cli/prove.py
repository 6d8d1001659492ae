import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.options import Json, board_names

if TYPE_CHECKING:
    from boards.board import Board
    from boards.flow.bitstream import Bitstream
    from systolith.diagnostics.proof import Case, Proof

__all__ = ["check_proof", "proof_of", "prove", "say_proof"]


def prove(
    model: Annotated[Path | None, typer.Argument(
        metavar="[MODEL]", help="A .tflite or .onnx network to run, on inputs of noise; by "
        "default, the digits network where there is room for it, and small random ones.",
        show_default=False)] = None,
    board: Annotated[str, typer.Option(
        "--board", "-b", metavar="BOARD", autocompletion=board_names,
        help="The board; an unknown name lists all.")] = "icebreaker",
    seed: Annotated[int | None, typer.Option(
        min=0, help="Seed of place and route; by default, the board's.")] = None,
    start: Annotated[int, typer.Option(
        min=1, help="Seed of what registers and memories hold at first.")] = 1,
    json: Json = False,
) -> None:
    """Prove a board's netlist: run networks on what was placed and routed.

    The netlist that nextpnr wrote for the board is simulated cell by cell, registers and memories
    holding anything at first, and driven through the pins of its UART. Every byte of the outputs is
    compared with the reference runtime's. The board is built first, if it is not there already.
    """
    from boards.board import board_of
    from systolith.cli.estimates import building
    from systolith.diagnostics.proof import case_of, check_provable

    chosen = board_of(board)
    check_provable(chosen)
    cases = [case_of(model, chosen.params)] if model else None
    done = proof_of(chosen, building(chosen, seed=seed, params=chosen.params), cases, start=start)
    if json:
        print(json_format.dumps(done.as_dict(), indent=2))
    else:
        say_proof(done)
    check_proof(done)


def proof_of(board: "Board", built: "Bitstream", cases: "Sequence[Case] | None" = None, *,
             start: int = 1) -> "Proof":
    """The proof of a build, while what is done is on the terminal."""
    from systolith.cli.progress import progress
    from systolith.diagnostics import proof

    with progress() as step:
        return proof.prove(board, built, cases, seed=start, say=step)


def check_proof(done: "Proof") -> None:
    """Raise :exc:`RuntimeError` if bytes differ."""
    if not done.good:
        raise RuntimeError(f"the placed netlist of {done.board} does not compute what it should: "
                           f"{done.differing:,} of {done.compared:,} bytes differ")


def say_proof(done: "Proof") -> None:
    """What came out, in words."""
    from rtl.wording import counted
    from systolith.cli.show import console

    console.print(
        f"{done.board}: {counted(done.networks, 'network')} over the pins of the placed netlist: "
        f"{done.differing:,} of {counted(done.compared, 'byte')} differ from the reference "
        f"runtime, in {done.cycles:,} cycles ({done.seconds:.0f} s)")
