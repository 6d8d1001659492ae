"""Cells of an ECP5 as Verilog.

Refs: FPGA-DS-02012, ECP5 and ECP5-5G Family Data Sheet, 2.2, PFU Blocks; FPGA-TN-02204, Memory
Usage Guide; CCU2C, PFUMX, L6MUX21 and TRELLIS_FF of the models that Yosys ships. An input that is
left open reads as 1.
"""

from collections.abc import Callable, Mapping

from sim.placed.netlist import Cell, Placed, UnknownCell
from sim.placed.verilog import ONE, ZERO, Register, Writer, lut

__all__ = ["aliases", "clocks", "pads", "write"]

#: Parameters of block RAMs that their model has.
RAM_PARAMETERS = "DATA_WIDTH_A", "DATA_WIDTH_B"
RAM_OPTIONS = {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG", "WRITEMODE_A": "NORMAL",
               "WRITEMODE_B": "NORMAL"}


def aliases(placed: Placed) -> dict[int, int]:
    """Nets behind global buffers."""
    return {cell.pins["CLKO"]: cell.pins["CLKI"] for cell in placed.of("DCCA")}


def clocks(placed: Placed) -> tuple[set[int], int]:
    """Nets of the PLL's clock, and the net which says that it is locked."""
    pll, = placed.of("EHXPLLL")
    return {pll.pins["CLKOS"]}, pll.pins["LOCK"]


def pads(placed: Placed) -> dict[int, tuple[int | None, int | None]]:
    """By the net of a pad, the net that it drives and the net that drives it."""
    return {cell.pins["B"]: (cell.pins.get("O"), cell.pins.get("I"))
            for cell in placed.of("TRELLIS_IO")}


def write(writer: Writer, placed: Placed) -> None:
    """All cells but those of clocks and pads."""
    for cell in placed.cells:
        if cell.kind not in WRITERS:
            raise UnknownCell(f"{cell.name} is a {cell.kind}, of which there is no model")
        WRITERS[cell.kind](writer, cell)


def _logic(writer: Writer, cell: Cell) -> None:
    """A look-up table, half of a carry, or a multiplexer behind two of either."""
    mode = cell.option("MODE", "LOGIC")
    inputs = [writer.pin(cell, name, ONE) for name in "ABCD"]
    table = cell.number("INITVAL")
    if mode == "CCU2":
        _carry(writer, cell, table, inputs)
        return
    if mode != "LOGIC":
        raise UnknownCell(f"{cell.name} is in the mode {mode}, of which there is no model")
    value = lut(table, inputs)
    writer.assign(cell, "F", value)
    if "OFX" in cell.pins:
        low, high = (("FXA", "FXB") if "FXA" in cell.pins or "FXB" in cell.pins else ("F", "F1"))
        below = value if low == "F" else writer.pin(cell, low, ONE)
        above, choice = writer.pin(cell, high, ONE), writer.pin(cell, "M", ONE)
        writer.assign(cell, "OFX", f"{choice} ? {above} : {below}")


def _carry(writer: Writer, cell: Cell, table: int, inputs: list[str]) -> None:
    """Half of a CCU2C."""
    carry = writer.pin(cell, "FCI", ONE)
    # Of its own: what it depends on may be the sum of a carry that comes later.
    four, two = lut(table, inputs), lut(table & 15, inputs[:2])
    if cell.option("CCU2_INJECT1", "NO") == "YES":
        writer.assign(cell, "F", four)
        writer.assign(cell, "FCO", f"{four} & {carry}")
    else:
        writer.assign(cell, "F", f"{four} ^ {carry}")
        writer.assign(cell, "FCO", f"{four} ? {carry} : {two}")


def _flip_flop(writer: Writer, cell: Cell) -> None:
    names = {"clock": ("CLKMUX", "CLK"), "enable": ("CEMUX", "CE"), "reset": ("LSRMUX", "LSR")}
    found = {}
    for name, (option, pin) in names.items():
        mux = cell.option(option, pin)
        net = writer.pin(cell, pin)
        if mux not in {pin, "INV", "1"} or (mux == "1" and name != "enable"):
            raise UnknownCell(f"{cell.name} has the {option} {mux}, of which there is no model")
        plain = mux == pin or not net or name == "clock"
        found[name] = net if plain else writer.inverted(net)
    register = Register(
        clock=found["clock"], falling=cell.option("CLKMUX") == "INV",
        enable="" if cell.option("CEMUX") == "1" else found["enable"], reset=found["reset"],
        asynchronous=cell.option("SRMODE") == "ASYNC",
        gated=cell.option("SRMODE", "CE_OVER_LSR") == "CE_OVER_LSR")
    data = "DI" if cell.option("SD", "0") == "1" else "M"
    writer.register(cell, "Q", register, writer.pin(cell, data, ONE),
                    int(cell.option("REGSET", "RESET") == "SET"))


def _ram(writer: Writer, cell: Cell) -> None:
    parameters = {name: f"{cell.number(name, 18)}" for name in RAM_PARAMETERS}
    parameters |= {name: f'"{cell.option(name, option)}"' for name, option in RAM_OPTIONS.items()}
    inputs = [*(f"{name}{port}{bit}" for port in "AB" for name, bits in (
        ("DI", 18), ("AD", 14), ("CS", 3)) for bit in range(bits)),
        *(f"{name}{port}" for port in "AB" for name in ("CLK", "CE", "OCE", "WE", "RST"))]
    outputs = {pin: writer.net(net) for pin, net in cell.pins.items() if pin.startswith("DO")}
    writer.instance("DP16KD", cell.name, parameters,
                    {**{pin: _through_mux(writer, cell, pin) for pin in inputs}, **outputs})


def _through_mux(writer: Writer, cell: Cell, pin: str) -> str:
    """What an input of a block RAM reads."""
    mux, net = cell.option(f"{pin}MUX", pin), writer.pin(cell, pin, ONE)
    return {"0": ZERO, "1": ONE, "INV": f"(~{net})"}.get(mux, net)


def _multiplier(writer: Writer, cell: Cell) -> None:
    parameters = {name: f'"{cell.option(name)}"' for name in cell.parameters
                  if name.endswith(("_CLK", "_CE", "_RST"))}
    writer.instance("MULT18X18D", cell.name, parameters,
                    {pin: writer.net(net) for pin, net in cell.pins.items()})


def _elsewhere(writer: Writer, cell: Cell) -> None:
    """Cells of clocks and pads."""


WRITERS: Mapping[str, Callable[[Writer, Cell], None]] = {
    "TRELLIS_COMB": _logic, "TRELLIS_FF": _flip_flop, "DP16KD": _ram, "MULT18X18D": _multiplier,
    "DCCA": _elsewhere, "TRELLIS_IO": _elsewhere, "EHXPLLL": _elsewhere}
