"""A board from its placed netlist."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.compiled import BOARD, compile_core
from sim.placed import ecp5, ice40
from sim.placed.netlist import Placed
from sim.placed.verilog import ZERO, Writer
from sim.primitives import models
from sim.virtual_board import CompiledBoard

__all__ = ["PlacedBoard", "Wire", "verilog_of"]

FAMILIES = {"ecp5": ecp5, "ice40": ice40}


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A wire of a board: the port of the netlist that it goes to, and whether it is inverted."""

    port: str
    inverted: bool = False


def verilog_of(placed: Placed, family: str, inputs: Mapping[str, Wire],
               outputs: Mapping[str, Wire | None]) -> str:
    """Verilog of ``placed``: a module ``top`` of the ``inputs`` and ``outputs``, by the names that
    the board's driver has for them, besides ``clk``, which is what the PLL gives, and ``rst``,
    while which it is not locked. An output without a wire stays low.

    Raises :exc:`~sim.placed.netlist.UnknownCell` for what there is no model of.
    """
    cells = FAMILIES[family]
    clock, locked = cells.clocks(placed)
    pads = cells.pads(placed)
    given = dict.fromkeys(clock, "clk") | {locked: "(~rst)"}
    for name, wire in inputs.items():
        inside, _ = pads[placed.ports[wire.port]]
        if inside is not None:
            given[inside] = f"(~{name})" if wire.inverted else name
    writer = Writer(aliases=cells.aliases(placed), given=given)
    cells.write(writer, placed)
    driven = {}
    for name, wire in outputs.items():
        if wire is None:
            driven[name] = ZERO
            continue
        _, inside = pads[placed.ports[wire.port]]
        assert inside is not None, f"nothing drives {wire.port}"
        driven[name] = f"{'~' * wire.inverted}{writer.net(inside)}"
    return writer.text(["clk", "rst", *inputs], driven)


class PlacedBoard(CompiledBoard):
    """A board from the netlist that nextpnr placed and routed: ``verilog``, with models of the
    primitives of its ``family``.

    Registers and memories hold anything at first, by ``seed``.
    """

    def __init__(self, verilog: str, family: str, *, divisor: int, hz: float, seed: int = 1,
                 trace: str | Path | None = None) -> None:
        # The last ones are Yosys', of which an ECP5 needs none: its cells are expressions here.
        paths = models(family)[:-1] or models(family)
        library = compile_core("\n".join([verilog, *map(_text, paths)]), "", trace is not None,
                               BOARD, random=True)
        super().__init__(library, divisor=divisor, hz=hz, seed=seed, trace=trace)


def _text(path: Path) -> str:
    """A file of models, without what says how long things take."""
    return re.sub(r"\bspecify\b.*?\bendspecify\b", "", path.read_text(), flags=re.DOTALL)
