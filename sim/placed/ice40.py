"""Cells of an iCE40 as Verilog."""

from collections.abc import Callable, Mapping

from sim.placed.netlist import Cell, Placed, UnknownCell
from sim.placed.verilog import ONE, ZERO, Register, Writer, lut

__all__ = ["aliases", "clocks", "pads", "write"]

#: Parameters of block RAMs that are numbers, and those that are memory.
RAM_PARAMETERS = "READ_MODE", "WRITE_MODE", "NEG_CLK_R", "NEG_CLK_W"


def aliases(placed: Placed) -> dict[int, int]:
    """Nets behind global buffers."""
    return {cell.pins["GLOBAL_BUFFER_OUTPUT"]: cell.pins["USER_SIGNAL_TO_GLOBAL_BUFFER"]
            for cell in placed.of("SB_GB") if "USER_SIGNAL_TO_GLOBAL_BUFFER" in cell.pins}


def clocks(placed: Placed) -> tuple[set[int], int]:
    """Nets of the PLL's clock, and the net which says that it is locked."""
    pll, = placed.of("ICESTORM_PLL")
    nets = {net for pin, net in pll.pins.items() if pin.startswith("PLLOUT")}
    # A clock that leaves the PLL by a global buffer of its own has no net before it.
    nets |= {cell.pins["GLOBAL_BUFFER_OUTPUT"] for cell in placed.of("SB_GB")
               if "USER_SIGNAL_TO_GLOBAL_BUFFER" not in cell.pins}
    return nets, pll.pins["LOCK"]


def pads(placed: Placed) -> dict[int, tuple[int | None, int | None]]:
    """By the net of a pad, the net that it drives and the net that drives it.

    Ref: FPGA-TN-02026, iCE40 Technology Library, SB_IO: only the plain types are known here.
    """
    found = {}
    for cell in placed.of("SB_IO"):
        kind = cell.option("PIN_TYPE", "000001")[-6:]
        if kind[:4] not in {"0000", "0110", "1010"} or kind[4:] != "01":
            raise UnknownCell(f"{cell.name} is a pad of type {kind}, of which there is no model")
        found[cell.pins["PACKAGE_PIN"]] = cell.pins.get("D_IN_0"), cell.pins.get("D_OUT_0")
    return found


def write(writer: Writer, placed: Placed) -> None:
    """All cells but those of clocks and pads."""
    for cell in placed.cells:
        if cell.kind not in WRITERS:
            raise UnknownCell(f"{cell.name} is a {cell.kind}, of which there is no model")
        WRITERS[cell.kind](writer, cell)


def _logic(writer: Writer, cell: Cell) -> None:
    """A look-up table, a carry and a flip-flop, each of them if it is used.

    Ref: FPGA-DS-02029, iCE40 LP/HX Family Data Sheet, 3.1.1, PLB Blocks
    """
    inputs = [writer.pin(cell, f"I{n}", ZERO) for n in range(4)]
    value = lut(cell.number("LUT_INIT"), inputs)
    writer.assign(cell, "LO", value)
    if cell.number("CARRY_ENABLE"):
        _, a, b, _ = inputs
        carry = writer.pin(cell, "CIN", ZERO)
        if cell.number("CIN_CONST"):
            carry = f"1'b{cell.number('CIN_SET')}"
        writer.assign(cell, "COUT", f"({a} & {b}) | (({a} | {b}) & {carry})")
    if not cell.number("DFF_ENABLE"):
        writer.assign(cell, "O", value)
        return
    register = Register(
        clock=writer.pin(cell, "CLK"), falling=bool(cell.number("NEG_CLK")),
        enable=writer.pin(cell, "CEN"), reset=writer.pin(cell, "SR"), gated=True,
        asynchronous=bool(cell.number("ASYNC_SR")))
    writer.register(cell, "O", register, value, cell.number("SET_NORESET"))


def _ram(writer: Writer, cell: Cell) -> None:
    parameters = {name: f"{cell.number(name)}" for name in RAM_PARAMETERS}
    parameters |= {name: f"256'b{bits.strip()}" for name, bits in cell.parameters.items()
                   if name.startswith("INIT")}
    open_pins = {**dict.fromkeys(("RCLKE", "WCLKE"), ONE), **dict.fromkeys(("RE", "WE"), ZERO),
                 **{f"{name}_{bit}": ZERO for name, count in (
                     ("RADDR", 11), ("WADDR", 11), ("MASK", 16), ("WDATA", 16))
                    for bit in range(count)}}
    writer.instance("ICESTORM_RAM", cell.name, parameters,
                    open_pins | {pin: writer.net(net) for pin, net in cell.pins.items()})


def _spram(writer: Writer, cell: Cell) -> None:
    data = f"data{cell.pins.get('DATAOUT_0', id(cell))}"
    vectors = {name: writer.vector(cell, name, bits) for name, bits in (
        ("ADDRESS", 14), ("DATAIN", 16), ("MASKWREN", 4))}
    pins = {name: writer.pin(cell, name, ZERO) for name in (
        "WREN", "CHIPSELECT", "CLOCK", "STANDBY", "SLEEP")}
    writer.lines.append(f"  wire [15:0] {data};")
    writer.instance("SB_SPRAM256KA", cell.name, {}, {
        **vectors, **pins, "POWEROFF": writer.pin(cell, "POWEROFF", ONE), "DATAOUT": data})
    for bit in range(16):
        writer.assign(cell, f"DATAOUT_{bit}", f"{data}[{bit}]")


def _dsp(writer: Writer, cell: Cell) -> None:
    out = f"out{cell.pins.get('O_0', id(cell))}"
    vectors = {name: writer.vector(cell, name, 16) for name in "ABCD"}
    names = ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT",
             "OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT", "CI",
             "ACCUMCI", "SIGNEXTIN")
    pins = {name: writer.pin(cell, name, ZERO) for name in names}
    writer.lines.append(f"  wire [31:0] {out};")
    writer.instance(
        "SB_MAC16", cell.name,
        {name: f"{cell.number(name)}" for name in cell.parameters},
        {**vectors, **pins, "CLK": writer.pin(cell, "CLK", ZERO),
         "CE": writer.pin(cell, "CE", ONE), "O": out})
    for bit in range(32):
        writer.assign(cell, f"O_{bit}", f"{out}[{bit}]")


def _elsewhere(writer: Writer, cell: Cell) -> None:
    """Cells of clocks and pads."""


WRITERS: Mapping[str, Callable[[Writer, Cell], None]] = {
    "ICESTORM_LC": _logic, "ICESTORM_RAM": _ram, "ICESTORM_SPRAM": _spram, "ICESTORM_DSP": _dsp,
    "SB_GB": _elsewhere, "SB_IO": _elsewhere, "ICESTORM_PLL": _elsewhere}
