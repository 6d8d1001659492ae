from pathlib import Path
from typing import Annotated

import typer

from host.cli.options import (
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


def emit(
    core: Core,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.v",
                                         help="Where the Verilog goes.")],
    rows: Rows = 8,
    cols: Cols = 8,
    family: Annotated[str, typer.Option(
        help="generic, ice40 or ecp5: whose multipliers and memories are instantiated.")] =
        "generic",
    multipliers: Multipliers = None,
    fir_rows: FirRows = None,
    depth: Depth = None,
    lanes: Lanes = None,
    requantize: Requantize = None,
    rounding: Rounding = None,
    word_bytes: WordBytes = None,
    buffer_bytes: BufferBytes = None,
    top: Annotated[str | None, typer.Option(help="Name of the module.")] = None,
):
    """Write a core as Verilog, with a table of its ports at the head."""
    from host.cli.show import console, progress
    from host.cores import build_core
    from rtl.netlist import ports_of
    from sim.verilog import emit_verilog

    component = build_core(core, rows=rows, cols=cols, family=family, multipliers=multipliers,
                           fir_rows=fir_rows, depth=depth, lanes=lanes, requantize=requantize,
                           rounding=rounding, word_bytes=word_bytes,
                           buffer_bytes=buffer_bytes)
    top = top or f"systolith_{core}"
    if not top.isidentifier() or not top.isascii():
        raise ValueError(f"{top!r} cannot be the name of a module: letters, digits, underscores")
    with progress() as step:
        step(f"emitting {top}")
        text = emit_verilog(component, top, None if family == "generic" else family)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    console.print(f"{output}: module {top}, {len(ports_of(component)) + 2} ports, "
                  f"{text.count(chr(10))} lines", highlight=False)
