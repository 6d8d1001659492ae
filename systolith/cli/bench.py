import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.files import check_image

__all__ = ["bench"]


def bench(
    models: Annotated[list[Path] | None, typer.Argument(
        metavar="[MODEL]...", help="Quantised .tflite or .onnx networks, besides the one that "
        "reads digits. Those of MLPerf Tiny are recognised by their bytes and compared with "
        "published figures.")] = None,
    board: Annotated[list[str] | None, typer.Option(
        "--board", "-b", metavar="BOARD", help="A board, or all; can be repeated. By default "
        "those whose clock is on record.")] = None,
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
        "default 3.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
):
    """Show how fast networks are on boards: cycles, their floor, inferences a second, and how
    these compare with published figures.

    Cycles are those of the simulated RTL of each board's build. Clocks are those of the whole
    design of the board after place and route, the median of all seeds on record. A clock that
    belongs to another design or to other tools is refused as stale, with status 1. JSON has an
    object for each network on each board; if the board cannot run the network, it has only
    "network", "board" and "problem".
    """
    if seeds is not None and not record:
        raise ValueError("--seeds are those of --record, which has to be given with it")
    if plot:
        check_image(plot)
    if layers:
        if models or board or plot or record:
            raise ValueError("--layers takes neither models nor boards, and no --plot or --record")
        _layers(json)
        return
    from boards.board import board_of, boards
    from boards.flow.clocks import read_clocks
    from systolith.benchmarks.networks import bench_networks, networks
    from systolith.cli.show import console, progress

    if record and not board:
        raise ValueError("--record needs --board, once for each board to place and route")
    known = boards()
    names = list(known) if board and "all" in board else board or [
        name for name in read_clocks() if name in known]
    chosen = [board_of(name) for name in dict.fromkeys(names)]
    if not chosen:
        raise ValueError("no clock of any board is on record; choose boards by --board")
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
        _show(console, results)
    if any("stale" in each.problem for each in results):
        raise typer.Exit(1)


def _record(boards, seeds):
    from boards.flow.clocks import measure, read_clocks, write_clocks
    from systolith.cli.show import progress

    with progress() as step:
        for board in boards:
            clock = measure(board, range(board.seed, board.seed + seeds), step)
            write_clocks({**read_clocks(), board.name: clock})  # what is done is kept


def _show(console, results):
    from systolith.benchmarks.networks import Refusal
    from systolith.cli.show import table

    figures = [each for each in results if not isinstance(each, Refusal)]
    refused = [each for each in results if isinstance(each, Refusal)]
    view = table("Networks on boards, from go to done", "network", "board", "products", "cycles",
                 "floor", "use", "MHz", "a second", "by link")
    for each in figures:
        view.add_row(each.network, each.board, f"{each.products:,}", f"{each.cycles:,}",
                     f"{each.floor_cycles:,}", f"{each.utilisation:.1%}",
                     f"{each.clock_mhz:g}" if each.per_second else "",
                     *(f"{rate:,.1f}" if rate else ""
                       for rate in (each.per_second, each.link_per_second)))
    if figures:
        console.print(view)
    for problem, boards in _grouped((each.problem, each.board) for each in results):
        console.print(f"{boards}: {problem}", style="yellow", highlight=False)
    for problem, boards in _grouped((each.link_problem, each.board) for each in figures):
        console.print(f"{boards}: {problem}", highlight=False)
    for text, boards in _grouped((f"does not run {each.network}: {each.text}", each.board)
                                 for each in refused):
        console.print(f"{boards}: {text}", highlight=False)
    _compare(console, {(each.network, each.board): dict(
        (anchor.title, ratio) for anchor, ratio in each.ratios()) for each in figures})


def _compare(console, rows):
    """What others have published, and under its numbers how many times as fast each row is."""
    from systolith.benchmarks.anchors import ANCHORS
    from systolith.cli.show import table

    rows = {each: ratios for each, ratios in rows.items() if ratios}
    if not rows:
        return
    names = list(dict.fromkeys(network for network, _ in rows))
    anchors = [anchor for anchor in ANCHORS if any(anchor.title in each for each in rows.values())]
    view = table("Published figures, inferences a second", "system", *names)
    for number, anchor in enumerate(anchors, 1):
        view.add_row(f"{number}  {anchor.title}", *map(anchor.figure, names))
    console.print(view)
    view = table("Times as fast as each of them", "network", "board",
                 *(str(number + 1) for number in range(len(anchors))))
    for (network, board), ratios in rows.items():
        view.add_row(network, board, *(_times(ratios.get(anchor.title)) for anchor in anchors))
    console.print(view)


def _times(ratio):
    if ratio is None:
        return ""
    return f"{ratio:.2g}" if ratio < 0.1 else f"{ratio:,.{2 if ratio < 100 else 0}f}"


def _grouped(pairs):
    """(text, names with commas) for each text that is not empty."""
    groups = {}
    for text, name in pairs:
        if text and name not in groups.setdefault(text, []):
            groups[text].append(name)
    return [(text, ", ".join(names)) for text, names in groups.items()]


def _layers(json):
    from systolith.benchmarks.layers import NAMES, PEERS, bench_layers
    from systolith.cli.show import console, progress, table

    with progress(total=len(NAMES) + 2) as step:
        results, speeds = bench_layers(step)
    if json:
        print(json_format.dumps({"layers": results, "simulation": speeds}, indent=2))
        return
    view = table("Cycles on 8 x 8 products", "layer", "MACs", "cycles", "floor", "ratio",
                 "utilisation", "band", "depth", "drain_lanes")
    for row in results:
        view.add_row(
            row["layer"], f"{row['macs']:,}", f"{row['cycles']:,}", f"{row['floor_cycles']:,}",
            f"{row['cycles'] / row['floor_cycles']:.3f}", f"{row['utilisation']:.2%}",
            *(str(row[name]) for name in ("band", "depth", "drain_lanes")))
    console.print(view)
    best = max(row["macs_per_cycle"] for row in results)
    for name, peak in PEERS.items():
        console.print(f"{name}: at most {peak} MACs/cycle; the best above is {best / peak:.2f} "
                      "times that", highlight=False)
    for row in speeds:
        console.print(f"simulation of {row['core']}: {row['cycles_per_second'] / 1e6:.2f} million "
                      f"cycles/s, compiled in {row['compile_seconds']:.1f} s", highlight=False)
