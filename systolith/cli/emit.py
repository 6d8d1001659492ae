from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from systolith.cli.builds import ActivationBytes, Channels, ProgramWords, WeightBytes, build_of
from systolith.cli.files import check_target, writing
from systolith.cli.options import (
    BoardName,
    BufferBytes,
    Cols,
    Core,
    Depth,
    DrainLanes,
    FirRows,
    Multipliers,
    Requantize,
    Rounding,
    Rows,
    WordBytes,
    one_of_these,
)

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

    from rtl.bus import BusAccelerator

__all__ = ["emit"]


def emit(
    core: Core,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.v",
                                         help="Write the Verilog to this file.")],
    rows: Rows = None,
    cols: Cols = None,
    family: Annotated[str | None, typer.Option(
        autocompletion=one_of_these("generic", "ice40", "ecp5"),
        help="Whose multipliers and memories to instantiate: generic, ice40 or ecp5; by default, "
        "generic.")] = None,
    multipliers: Multipliers = None,
    fir_rows: FirRows = None,
    depth: Depth = None,
    drain_lanes: DrainLanes = None,
    requantize: Requantize = None,
    rounding: Rounding = None,
    word_bytes: WordBytes = None,
    buffer_bytes: BufferBytes = None,
    bus: Annotated[str | None, typer.Option(
        autocompletion=one_of_these("axi", "wishbone"),
        help="Bus of the accelerator: axi (AXI4-Lite) or wishbone; by default, axi.")] = None,
    board: BoardName = None,
    activation_bytes: ActivationBytes = None,
    weight_bytes: WeightBytes = None,
    channels: Channels = None,
    program_words: ProgramWords = None,
    top: Annotated[str | None, typer.Option(help="Name of the Verilog module.")] = None,
) -> None:
    """Export a core as Verilog, with a table of its ports at the head."""
    from rtl.catalog import CORES
    from rtl.export.rtlil import ports_of
    from rtl.export.verilog import emit_verilog
    from rtl.validate import one_of
    from rtl.wording import counted
    from systolith.cli.progress import progress
    from systolith.cli.show import console

    one_of("core", core, CORES)
    top = _checked(top or f"systolith_{core}")
    check_target(output, parents=True)
    options: dict[str, int | str | None] = {
        "rows": rows, "cols": cols, "family": family, "multipliers": multipliers,
        "fir_rows": fir_rows, "depth": depth, "drain_lanes": drain_lanes, "requantize": requantize,
        "rounding": rounding, "word_bytes": word_bytes, "buffer_bytes": buffer_bytes,
        "activation_bytes": activation_bytes, "weight_bytes": weight_bytes, "channels": channels,
        "program_words": program_words}
    family, component = (_component(core, bus=bus, **options) if board is None
                         else _of_board(core, board, bus, options))
    with progress() as step:
        step(f"emitting {top}")
        text = emit_verilog(component, top, None if family == "generic" else family)
    output.parent.mkdir(parents=True, exist_ok=True)
    with writing(output):
        output.write_text(text)
    console.print(f"{output}: module {top}, {len(ports_of(component)) + 2} ports, "
                  f"{counted(text.count(chr(10)), 'line')}", soft_wrap=True)


def _checked(top: str) -> str:
    """``top``, if it can be the name of a module of Verilog."""
    from rtl.export.keywords import KEYWORDS

    if not top.isidentifier() or not top.isascii():
        raise ValueError(f"{top!r} cannot be the name of a module: letters, digits, underscores")
    if top in KEYWORDS:
        raise ValueError(f"{top!r} is a word of Verilog; give --top another name")
    return top


def _component(core: str, **options: int | str | None) -> tuple[str, "Component"]:
    """A family, and a core for it."""
    from rtl.catalog import build_core

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    family = given.setdefault("family", "generic")
    return family, build_core(core, **given)


def _of_board(core: str, board: str, bus: str | None,
              options: Mapping[str, int | str | None]) -> tuple[str, "BusAccelerator"]:
    """The family of a board, and the accelerator of its build."""
    from boards.board import boards
    from rtl.bus import BusAccelerator

    if core != "accelerator":
        raise ValueError(f"--board names a build of the accelerator, not of {core}")
    chosen, params = build_of(board, **options)
    assert chosen is not None  # as there is a name of one
    if params.sdram_bits:
        others = (name for name, each in boards().items() if not each.params.sdram_bits)
        raise ValueError(f"the weights of {board} lie in SDRAM, for which a bus has no pins: "
                         f"leave out --board, or name another: {', '.join(others)}")
    return chosen.family, BusAccelerator(params, bus=bus or "axi")
