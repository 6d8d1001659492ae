import json as json_format
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.files import check_image, check_target
from systolith.cli.options import Json, board_names

if TYPE_CHECKING:
    from boards.board import Board
    from systolith.benchmarks.networks import Figures, Refusal

__all__ = ["bench"]


def bench(
    models: Annotated[list[Path] | None, typer.Argument(
        metavar="MODEL", help="Quantised .tflite or .onnx networks, besides the one that reads "
        "digits. Those of MLPerf Tiny are recognised by their bytes and compared with published "
        "figures.")] = None,
    board: Annotated[list[str] | None, typer.Option(
        "--board", "-b", metavar="BOARD", autocompletion=board_names, help="A board, or all; can "
        "be repeated. By default, those whose clock is on record.")] = None,
    layers: Annotated[bool, typer.Option(
        "--layers", help="Instead, count the cycles of typical layers on 8x8 cores.")] = False,
    plot: Annotated[Path | None, typer.Option(
        metavar="FILE.png", help="Draw what each layer spends its cycles on, and a roofline; PNG, "
        "SVG or PDF.")] = None,
    record: Annotated[bool, typer.Option(
        "--record", help="First place and route the boards, and put their clocks on record; this "
        "takes long.")] = False,
    seeds: Annotated[int | None, typer.Option(
        min=1, max=99, help="Runs of place and route for --record, from the board's seed on; by "
        "default, 3.")] = None,
    json: Json = False,
) -> None:
    """Show how fast networks are on boards: cycles, inferences per second, and how these compare
    with published figures.

    Cycles are those of the simulated RTL of each board's build; the floor is what the MACs alone
    would take. Clocks are those of the whole design of the board after place and route, the median
    of all seeds on record. A clock that belongs to another design or to other tools is refused as
    stale, with status 1. JSON has an object for each network on each board; if the board cannot run
    the network, it has only "network", "board" and "problem".
    """
    if seeds is not None and not record:
        raise ValueError("--seeds are those of --record, which has to be given with it")
    if plot:
        check_image(plot)
    if layers:
        if models or board or plot or record:
            raise ValueError("--layers takes neither models nor boards, and no --plot or --record")
        from systolith.cli.bench_layers import show_layers

        show_layers(json)
        return
    chosen = _boards(board, record)
    from systolith.benchmarks.networks import bench_networks, networks
    from systolith.cli.progress import progress

    found = networks(models or [])
    if record:
        _record(chosen, seeds or 3)
    with progress(total=len(chosen) * (1 + len(found))) as step:
        results = bench_networks(found, chosen, step)
    if plot:
        from systolith.benchmarks.plots import draw

        draw(found, chosen, plot)
    if json:
        print(json_format.dumps([each.as_dict() for each in results], indent=2))
    else:
        _show(results)
    if any("stale" in each.problem for each in results):
        raise typer.Exit(1)


def _boards(names: Sequence[str] | None, record: bool) -> list["Board"]:
    """The boards of those names, or all that have a clock on record."""
    from boards.board import board_of, boards
    from boards.flow.clocks import read_clocks

    if record and not names:
        raise ValueError("--record needs --board, once for each board to place and route")
    known = boards()
    if names is None or not names:
        names = [name for name in read_clocks() if name in known]
    elif "all" in names:
        if others := sorted(set(names) - {"all"}):
            raise ValueError(f"--board all has every board: leave out {', '.join(others)}")
        names = list(known)
    chosen = [board_of(name) for name in dict.fromkeys(names)]
    if not chosen:
        raise ValueError("no clock of any board is on record; choose boards by --board")
    return chosen


def _record(boards: Sequence["Board"], seeds: int) -> None:
    from boards.flow.clocks import FILE, measure, read_clocks, write_clocks
    from systolith.cli.estimates import build_seconds, together
    from systolith.cli.progress import progress

    check_target(FILE)
    runs = {board.name: range(board.seed, board.seed + seeds) for board in boards}
    seconds = together(build_seconds(board, runs[board.name]) for board in boards)
    with progress(seconds=seconds) as step:
        for board in boards:
            clock = measure(board, runs[board.name], step)
            write_clocks({**read_clocks(), board.name: clock})  # what is done is kept


def _show(results: Sequence["Figures | Refusal"]) -> None:
    from systolith.benchmarks.networks import Refusal
    from systolith.cli.show import Table, console

    figures = [each for each in results if not isinstance(each, Refusal)]
    refused = [each for each in results if isinstance(each, Refusal)]
    view = Table("Networks on boards, from go to done", "network", "board", "products", "cycles",
                 "floor", "util.", "MHz", "inferences/s", "by link", text=("board",), json=True,
                 drop=("products", "floor", "util.", "MHz", "by link", "cycles"))
    for each in figures:
        view.add_row(each.network, each.board, f"{each.products:,}", f"{each.cycles:,}",
                     f"{each.floor_cycles:,}", f"{each.utilisation:.1%}",
                     f"{each.clock_mhz:g}" if each.per_second else "",
                     *(f"{rate:,.1f}" if rate else ""
                       for rate in (each.per_second, each.link_per_second)))
    if figures:
        view.print()
    for problem, boards in _grouped((each.problem, each.board) for each in results):
        console.print(f"{boards}: {problem}", style="yellow")
    for problem, boards in _grouped((each.link_problem, each.board) for each in figures):
        console.print(f"{boards}: {problem}")
    for text, boards in _grouped((f"does not run {each.network}: {each.text}", each.board)
                                 for each in refused):
        console.print(f"{boards}: {text}")
    _compare({(each.network, each.board): dict(
        (anchor.title, ratio) for anchor, ratio in each.ratios()) for each in figures})


def _compare(rows: Mapping[tuple[str, str], Mapping[str, float]]) -> None:
    """What others have published, and under its numbers how many times as fast each row is."""
    from systolith.benchmarks.anchors import ANCHORS
    from systolith.cli.show import Table

    rows = {each: ratios for each, ratios in rows.items() if ratios}
    if not rows:
        return
    names = list(dict.fromkeys(network for network, _ in rows))
    anchors = [anchor for anchor in ANCHORS if any(anchor.title in each for each in rows.values())]
    view = Table("Published figures, inferences per second", "system", *names)
    for number, anchor in enumerate(anchors, 1):
        view.add_row(f"{number}  {anchor.title}", *map(anchor.figure, names))
    view.print()
    numbers = [str(number + 1) for number in range(len(anchors))]
    view = Table("Times as fast as each of them", "network", "board", *numbers, text=("board",),
                 drop=numbers[::-1], json=True)
    for (network, board), ratios in rows.items():
        view.add_row(network, board, *(_times(ratios.get(anchor.title)) for anchor in anchors))
    view.print()


def _times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:,.{2 if ratio < 100 else 0}f}"


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(text, names with commas) for each text that is not empty."""
    groups: dict[str, list[str]] = {}
    for text, name in pairs:
        if text and name not in groups.setdefault(text, []):
            groups[text].append(name)
    return [(text, ", ".join(names)) for text, names in groups.items()]
