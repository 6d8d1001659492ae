"""A network on all boards: which it fits, and how fast it is there."""

import json as json_format
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from boards.board import Board
    from rtl.accelerator import AcceleratorParams
    from systolith.cli.show import Table
    from systolith.compiler.estimate import Check
    from systolith.compiler.fitting import Shortage
    from systolith.graph.ir import Graph

__all__ = ["boards_that_fit", "check_boards", "clock_is_met"]


def clock_is_met(board: "Board") -> bool:
    """Whether there is a clock on record that meets timing at the one the board is to have."""
    from boards.flow.clocks import read_clocks

    clock = read_clocks().get(board.name)
    return clock is not None and clock.met and abs(clock.clock_mhz - board.mhz) < 1


def boards_that_fit(graph: "Graph", rounding: str | None = None) -> list[str]:
    """Names of the boards whose builds are large enough for a network, and have its rounding; or of
    those that can be built with another ``rounding``, if that is given."""
    from boards.board import boards
    from boards.builds import resized
    from systolith.compiler.fitting import shortages

    known = [board for board in boards().values() if rounding is None or board.family == "ecp5"]
    fits: dict[AcceleratorParams, bool] = {}
    names = []
    for board in known:
        params = resized(board, rounding=rounding)
        if params not in fits:
            try:
                fits[params] = not shortages(graph, params)
            except ValueError:
                fits[params] = False
        if fits[params]:
            names.append(board.name)
    return names


def check_boards(graph: "Graph", model: Path, mhz: float | None, json: bool) -> bool:
    """Show what becomes of a network on each board, the fastest first; whether it fits any.

    ``mhz`` is a clock for all of them, or None.
    """
    from boards.board import boards
    from rtl.wording import counted
    from systolith.cli.progress import progress
    from systolith.cli.show import console

    known, rows, found = list(boards().values()), [], {}
    with progress(total=len(known)) as step:
        for board in known:
            step(f"checking {board.name}")
            clock = mhz or board.mhz
            key = board.params, clock
            if key not in found:
                found[key] = _examine(graph, *key)
            rows.append((board, clock, found[key]))
    rows.sort(key=lambda row: -(_rate(row[2]) or 0))
    if json:
        print(json_format.dumps([_as_dict(model, *row) for row in rows], indent=2))
    else:
        _table(model, rows, mhz).print()
        count = sum(_fits(outcome) for *_, outcome in rows)
        console.print(f"it fits {count} of {counted(len(rows), 'board')}",
                      style="bold green" if count else "bold red")
    return any(_fits(outcome) for *_, outcome in rows)


def _examine(graph: "Graph", params: "AcceleratorParams", mhz: float) -> "Check | str":
    """The :class:`~systolith.compiler.estimate.Check`, or why there can be none."""
    from systolith.compiler.estimate import check

    try:
        return check(graph, params, mhz=mhz)
    except ValueError as error:
        return str(error)


def _fits(outcome: "Check | str") -> TypeGuard["Check"]:
    return not isinstance(outcome, str) and not outcome.short


def _rate(outcome: "Check | str") -> float | None:
    return outcome.per_second if _fits(outcome) else None


def _as_dict(model: Path, board: "Board", mhz: float, outcome: "Check | str") -> dict[str, Any]:
    about = {"model": str(model), "board": board.name}
    if isinstance(outcome, str):
        return {**about, "fits": False, "problem": outcome}
    return {**about, **outcome.as_dict()}


def _table(model: Path, rows: Sequence[tuple["Board", float, "Check | str"]],
           mhz: float | None) -> "Table":
    from systolith.cli.show import Table

    view = Table(f"{model} on each board, the fastest first", "board", "fits", "products", "cycles",
                 "util.", "MHz", "inferences/s", "too small by", text=("fits",),
                 fold=("too small by",), json=True, drop=("products", "util.", "MHz", "cycles"))
    for board, clock, outcome in rows:
        cells = ["", "", "", ""]
        if _fits(outcome):
            planned = "" if mhz or clock_is_met(board) else " planned"
            cells = [f"{outcome.cycles:,}", f"{outcome.utilisation:.1%}", f"{clock:g}{planned}",
                     f"{outcome.per_second:,.1f}"]
        view.add_row(board.name, "yes" if _fits(outcome) else "no", board.params.shape, *cells,
                     outcome if isinstance(outcome, str) else ", ".join(map(_missing,
                                                                            outcome.short)))
    return view


def _missing(short: "Shortage") -> str:
    """What a board lacks, in a few words."""
    name = short.name.replace("_", " ")
    if isinstance(short.need, bool):
        return f"no unit for {name}"
    if isinstance(short.need, str):
        return f"{name} {short.need}"
    assert isinstance(short.have, int)
    return f"{short.need - short.have:,} {name}"
