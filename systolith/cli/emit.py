from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.builds import BoardName, build_of
from systolith.cli.files import check_target, writing
from systolith.cli.options import (
    BufferBytes,
    Cols,
    Core,
    Depth,
    FirRows,
    Lanes,
    Multipliers,
    Requantize,
    Rounding,
    Rows,
    WordBytes,
)

__all__ = ["emit"]

Size = typer.Option(rich_help_panel="Memories of the accelerator", show_default=False)


def emit(
    core: Core,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.v",
                                         help="Write the Verilog to this file.")],
    rows: Rows | None = None,
    cols: Cols | None = None,
    family: Annotated[str | None, typer.Option(
        help="generic, ice40 or ecp5: whose multipliers and memories to instantiate; by default "
        "generic.")] = None,
    multipliers: Multipliers = None,
    fir_rows: FirRows = None,
    depth: Depth = None,
    drain_lanes: Lanes = None,
    requantize: Requantize = None,
    rounding: Rounding = None,
    word_bytes: WordBytes = None,
    buffer_bytes: BufferBytes = None,
    bus: Annotated[str | None, typer.Option(
        help="Bus of the accelerator: axi (AXI4-Lite) or wishbone; by default axi.")] =
        None,
    board: BoardName = None,
    activation_bytes: Annotated[int | None, Size] = None,
    weight_bytes: Annotated[int | None, Size] = None,
    channels: Annotated[int | None, Size] = None,
    program_words: Annotated[int | None, Size] = None,
    top: Annotated[str | None, typer.Option(help="Name of the module.")] = None,
):
    """Export a core as Verilog, with a table of its ports at the head."""
    from boards.board import boards
    from rtl.bus import BusAccelerator
    from rtl.catalog import build_core
    from rtl.export.keywords import KEYWORDS
    from rtl.export.rtlil import ports_of
    from rtl.export.verilog import emit_verilog
    from systolith.cli.show import console, progress

    options = {
        "multipliers": multipliers, "fir_rows": fir_rows, "depth": depth, "rounding": rounding,
        "word_bytes": word_bytes, "buffer_bytes": buffer_bytes,
        "activation_bytes": activation_bytes, "weight_bytes": weight_bytes, "channels": channels,
        "program_words": program_words}
    if board is None:
        family = family or "generic"
        shape = {name: value for name, value in (("rows", rows), ("cols", cols))
                 if value is not None}
        component = build_core(core, **shape, family=family, drain_lanes=drain_lanes,
                               requantize=requantize,
                               bus=bus, **options)
    elif core == "accelerator":
        chosen, params = build_of(board, rows, cols, drain_lanes,
                                  requantize, family=family, **options)
        if params.sdram_bits:
            others = (name for name, each in boards().items() if not each.params.sdram_bits)
            raise ValueError(f"the weights of {board} lie in SDRAM, for which a bus has no pins: "
                             f"leave out --board, or name another: {', '.join(others)}")
        family, component = chosen.family, BusAccelerator(params, bus=bus or "axi")
    else:
        raise ValueError(f"--board names a build of the accelerator, not of {core}")
    top = top or f"systolith_{core}"
    if not top.isidentifier() or not top.isascii():
        raise ValueError(f"{top!r} cannot be the name of a module: letters, digits, underscores")
    if top in KEYWORDS:
        raise ValueError(f"{top!r} is a word of Verilog; give --top another name")
    check_target(output, parents=True)
    with progress() as step:
        step(f"emitting {top}")
        text = emit_verilog(component, top, None if family == "generic" else family)
    output.parent.mkdir(parents=True, exist_ok=True)
    with writing(output):
        output.write_text(text)
    console.print(f"{output}: module {top}, {len(ports_of(component)) + 2} ports, "
                  f"{text.count(chr(10))} lines", highlight=False)
