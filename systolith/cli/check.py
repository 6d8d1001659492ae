import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.builds import (
    ActivationBytes,
    Build,
    Channels,
    MaxLines,
    ProgramWords,
    WeightBytes,
    build_of,
)
from systolith.cli.options import (
    BufferBytes,
    Cols,
    Depth,
    DrainLanes,
    Json,
    PixelLanes,
    Requantize,
    Rows,
    board_names,
    one_of_these,
)

if TYPE_CHECKING:
    from boards.board import Board
    from systolith.cli.show import Table
    from systolith.compiler.estimate import Check
    from systolith.graph.ir import Graph

__all__ = ["check"]

#: What stands for all boards.
ALL = "all"

#: What ``--dump`` shows, as :data:`systolith.compiler.dump.PHASES` has it, which takes a second to
#: import.
PHASES = ("graph", "passes", "schedule", "memory", "program")


def _names(incomplete: str) -> list[str]:
    return [*board_names(incomplete), *[ALL] * ALL.startswith(incomplete)]


def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite or .onnx network.")],
    board: Annotated[str | None, typer.Option(
        "--board", "-b", metavar="BOARD", autocompletion=_names,
        help="Use the build of this board, such as icebreaker or ulx3s-45f, or compare all; not "
        "with other options of a build.")] = None,
    rows: Rows = None,
    cols: Cols = None,
    drain_lanes: DrainLanes = None,
    pixel_lanes: PixelLanes = None,
    requantize: Requantize = None,
    activation_bytes: ActivationBytes = None,
    weight_bytes: WeightBytes = None,
    channels: Channels = None,
    program_words: ProgramWords = None,
    depth: Depth = None,
    buffer_bytes: BufferBytes = None,
    max_lines: MaxLines = None,
    mhz: Annotated[float | None, typer.Option(
        min=0.001, max=10_000,
        help="Clock for inferences per second; by default, the board's.")] = None,
    dump: Annotated[str | None, typer.Option(
        metavar="PHASE", autocompletion=one_of_these(*PHASES),
        help="Instead, print what a phase of the compiler made of the network: graph, passes, "
        "schedule, memory or program.")] = None,
    json: Json = False,
) -> None:
    """Say whether a network fits a build, and how fast it will be, before any synthesis.

    For each operator this shows where it runs, and its MACs, cycles and bytes. Cycles come from a
    model of the hardware, which is within 2 % of it but for a few small layers. If the network does
    not fit, everything that is too small is named, the cycles are those of a build that is large
    enough, and the status is 1; of all boards, if it fits none.
    """
    from rtl.validate import one_of
    from systolith.frontends.model_file import read_model

    if dump is not None:
        one_of("dump", dump, PHASES)
        if json:
            raise ValueError("--dump prints text, and no --json")
    shape = {
        "rows": rows, "cols": cols, "drain_lanes": drain_lanes, "pixel_lanes": pixel_lanes,
        "requantize": requantize, "activation_bytes": activation_bytes,
        "weight_bytes": weight_bytes, "channels": channels, "program_words": program_words,
        "depth": depth, "buffer_bytes": buffer_bytes, "max_lines": max_lines}
    if board == ALL:
        if given := next((name for name, value in shape.items() if value is not None), None):
            raise ValueError(f"boards have builds of their own, so --{given.replace('_', '-')} "
                             "cannot be given with --board all")
        if dump:
            raise ValueError("--dump is of one build: give one --board")
        from systolith.cli.check_boards import check_boards

        fits = check_boards(read_model(model, partition=True), model, mhz, json)
    else:
        build = build_of(board, **shape)
        if dump:
            from systolith.compiler.dump import dump as text_of

            print(text_of(read_model(model, partition=True), build[1], dump))
            return
        fits = _check(read_model(model, partition=True), model, board, build, mhz, json)
    if not fits:
        raise typer.Exit(1)


def _check(graph: "Graph", model: Path, board: str | None, build: Build, mhz: float | None,
           json: bool) -> bool:
    """Show what there is to say of a network on one build; whether it fits."""
    from systolith.cli.check_boards import boards_that_fit, clock_is_met
    from systolith.compiler.estimate import check as examine

    chosen, params = build
    found = examine(graph, params, mhz=mhz or (chosen.mhz if chosen else None))
    others = {rounding: boards_that_fit(graph, rounding) if found.short else []
              for rounding in (None, "both")}
    if json:
        print(json_format.dumps({"model": str(model), "board": board, **found.as_dict(),
                                 "boards_that_fit": others[None],
                                 "boards_that_fit_with_both_roundings": others["both"]}, indent=2))
    else:
        planned = mhz is None and chosen is not None and not clock_is_met(chosen)
        _show(found, chosen, others, planned)
    return not found.short


def _show(found: "Check", board: "Board | None", others: Mapping[str | None, Sequence[str]],
          planned: bool) -> None:
    from systolith.cli.show import console

    _operators(found, board).print()
    _memories(found).print()
    moved = ("" if found.short else " between runs" if found.alone else " during runs")
    console.print(f"at least {found.floor:,} cycles for the MACs alone\n"
                  f"{found.transfer_bytes:,} bytes of input and output"
                  f"{f', moved{moved}' if moved else ''}")
    if found.states:
        console.print(f"{sum(found.states.values()):,} bytes of state, which the host keeps from "
                      f"run to run: {', '.join(found.states)}")
    for line in _host(found):
        console.print(line)
    if found.per_second:
        console.print(f"{found.per_second:,.1f} inferences per second at {found.mhz:g} MHz"
                      f"{' (planned: no clock on record meets timing there)' if planned else ''}, "
                      "without input, output and what runs on the host")
    name = board.title if board else "this build"
    if not found.short:
        console.print(f"it fits {name}", style="bold green")
        return
    console.print(f"it does not fit {name}; the cycles above are those of a build that is large "
                  "enough", style="bold red")
    for short in found.short:
        console.print(f"  {short.text}")
        if short.name == "rounding" and board:
            console.print(f"    {_remedy(board)}")
    console.print(f"  boards that it fits: {', '.join(others[None]) or 'none'}")
    if built := [name for name in others["both"] if name not in others[None]]:
        console.print(f"  with systolith build --rounding both: {', '.join(built)}")


def _remedy(board: "Board") -> str:
    """What to do about a rounding that the build of a board does not have."""
    if board.family != "ecp5":
        return f"{board.title} takes .tflite networks only; ECP5 boards take both"
    return f"systolith build --board {board.name} --rounding both makes one"


def _host(found: "Check") -> list[str]:
    """What the host runs, and why."""
    from rtl.wording import counted

    if not found.host:
        return []
    parts = counted(found.segments, "part")
    lines = [f"{parts} on the accelerator, with {found.mac_share:.1%} of the MACs; the host runs"]
    for step in found.host:
        names = ", ".join(f"{number} {name}" for number, name in zip(
            step.numbers, step.names, strict=True))
        costs = [f"{step.bytes:,} bytes cross"] if step.bytes else []
        if step.cuts:
            costs.append(f"without it, {counted(step.cuts, 'part')} fewer")
        lines.append(f"  {names}: {'; '.join([step.reason, *costs])}")
    return lines


def _operators(found: "Check", board: "Board | None") -> "Table":
    from rtl.wording import counted
    from systolith.cli.show import Table

    build = found.build
    view = Table(f"{f'{board.title}: ' if board else ''}{build.shape} products, "
                 f"{build.array.fir_rows} of the rows also FIR; "
                 f"{counted(build.drain_lanes, 'drain lane')}, "
                 f"{counted(build.requantize, 'cycle')} per requantisation",
                 "operator", "result", "runs on", "MACs", "cycles", "util.", "weights",
                 "activations", "moved", "bound by", text=("runs on", "bound by"), json=True,
                 drop=("activations", "weights", "moved", "result", "bound by", "util.", "MACs",
                       "runs on"))
    for each in found.operators:
        view.add_row(f"{each.index} {each.operator}", "x".join(map(str, each.shape)),
                     {"nowhere": "no work"}.get(each.where, each.where), _number(each.macs),
                     _number(each.cycles), f"{each.utilisation:.1%}" if each.macs else "",
                     _number(each.weight_bytes), _number(each.activation_bytes),
                     "" if each.moved_bytes is None else f"{each.moved_bytes:,}", each.bound)
    view.add_section()
    view.add_row("from go to done", "", "", f"{found.macs:,}", f"{found.cycles:,}",
                 f"{found.utilisation:.1%}")
    return view


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _memories(found: "Check") -> "Table":
    from systolith.cli.show import Table

    view = Table("Memories", "", "needed", "of")
    for name, need in found.needs.items():
        if not isinstance(need, bool):  # a unit
            view.add_row(name.replace("_", " "), f"{need:,}", f"{found.have[name]:,}")
    return view
