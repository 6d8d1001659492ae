import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.builds import BoardName, Lanes, PixelLanes, Requantize, build_of

__all__ = ["check"]

Size = typer.Option(rich_help_panel="Memories of a build", show_default=False)


def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite or .onnx network.")],
    board: BoardName = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the array; by default 8.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the array; by default 8.")] = None,
    drain_lanes: Lanes = None,
    pixel_lanes: PixelLanes = None,
    requantize: Requantize = None,
    activation_bytes: Annotated[int | None, Size] = None,
    weight_bytes: Annotated[int | None, Size] = None,
    channels: Annotated[int | None, Size] = None,
    program_words: Annotated[int | None, Size] = None,
    depth: Annotated[int | None, Size] = None,
    buffer_bytes: Annotated[int | None, Size] = None,
    max_lines: Annotated[int | None, Size] = None,
    mhz: Annotated[float | None, typer.Option(
        min=0.001, help="Clock for inferences a second; by default the board's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
):
    """Say whether a network fits a build, and how fast it will be, before any synthesis.

    For each operator it shows where it runs, and its products, cycles and bytes. Cycles come from a
    model of the hardware, which is within 2 % of it but for a few small layers. If the network does
    not fit, everything that is too small is named, the cycles are those of a build that is large
    enough, and the status is 1.
    """
    from systolith.compiler.estimate import check as examine
    from systolith.frontends.model_file import read_model

    chosen, params = build_of(
        board, rows, cols, drain_lanes, requantize, pixel_lanes=pixel_lanes,
        activation_bytes=activation_bytes,
        weight_bytes=weight_bytes, channels=channels, program_words=program_words, depth=depth,
        buffer_bytes=buffer_bytes, max_lines=max_lines)
    graph = read_model(model)
    found = examine(graph, params, mhz=mhz or (chosen and chosen.mhz))
    others = _boards_that_fit(graph) if found.short else []
    if json:
        print(json_format.dumps({"model": str(model), "board": board, **found.as_dict(),
                                 "boards_that_fit": others}, indent=2))
    else:
        _print(found, chosen, others, planned=mhz is None and chosen and not _met(chosen))
    if found.short:
        raise typer.Exit(1)


def _boards_that_fit(graph):
    from boards.board import boards
    from systolith.compiler.fitting import shortages

    fits = {}
    for board in boards().values():
        if board.params not in fits:
            try:
                fits[board.params] = not shortages(graph, board.params)
            except ValueError:
                fits[board.params] = False
    return [board.name for board in boards().values() if fits[board.params]]


def _met(board):
    from boards.flow.clocks import read_clocks

    clock = read_clocks().get(board.name)
    return clock is not None and clock.met and abs(clock.clock_mhz - board.mhz) < 1


def _print(found, board, others, planned):
    from systolith.cli.show import console, table

    array = found.build.array
    name = f"{board.title}: " if board else ""
    view = table(f"{name}{found.build.shape} products, {array.fir_rows} of the rows also "
                 f"FIR; {found.build.drain_lanes} lanes of requantisation, "
                 f"{found.build.requantize} cycles each",
                 "operator", "result", "runs on", "MACs", "cycles", "use", "weights",
                 "activations", "bound by")
    for each in found.operators:
        view.add_row(f"{each.index} {each.operator}", "x".join(map(str, each.shape)),
                     {"nowhere": "no work"}.get(each.where, each.where), *(
                         f"{value:,}" if value else ""
                         for value in (each.macs, each.cycles)),
                     f"{each.utilisation:.1%}" if each.macs else "",
                     *(f"{value:,}" if value else ""
                       for value in (each.weight_bytes, each.activation_bytes)), each.bound)
    view.add_section()
    view.add_row("from go to done", "", "", f"{found.macs:,}", f"{found.cycles:,}",
                 f"{found.utilisation:.1%}")
    console.print(view)
    memories = table("Memories", "", "needed", "of")
    for name, need in found.needs.items():
        if isinstance(need, bool):
            continue  # a unit
        memories.add_row(name.replace("_", " "), f"{need:,}", f"{found.have[name]:,}")
    console.print(memories)
    console.print(f"at least {found.floor:,} cycles for the products alone; "
                  f"{found.transfer_bytes:,} bytes of input and output"
                  f"{'' if found.alone else ', which are moved during runs'}", highlight=False)
    if found.alone and not found.short:
        console.print(f"they are moved between runs: {found.alone}", highlight=False)
    if found.per_second:
        console.print(f"{found.per_second:,.1f} inferences a second at {found.mhz:g} MHz"
                      f"{' (planned: no clock on record meets it)' if planned else ''}, "
                      "without input, output and what runs on the host", highlight=False)
    if not found.short:
        console.print("it fits", style="bold green")
        return
    console.print("it does not fit; the cycles above are those of a build that is large enough",
                  style="bold red")
    for short in found.short:
        console.print(f"  {short.text}", highlight=False)
    console.print(f"  boards that it fits: {', '.join(others) or 'none'}", highlight=False)
