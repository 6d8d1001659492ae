"""Verilog of a placed netlist: a module ``top`` with the pins of a board.

Look-up tables and flip-flops, most of the cells, become expressions and registers; other cells
become instances of models of the device's primitives.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sim.placed.netlist import Cell

__all__ = ["ONE", "ZERO", "Register", "Writer", "lut"]

ZERO, ONE = "1'b0", "1'b1"


def lut(table: int, inputs: Sequence[str]) -> str:
    """The expression of a look-up table, of those inputs alone that it depends on; the first one is
    the lowest bit of the index."""
    if not inputs:
        return ONE if table & 1 else ZERO
    *others, name = inputs
    size = 1 << len(others)
    full = (1 << size) - 1
    low, high = table & full, table >> size & full
    if name == ONE:
        return lut(high, others)
    if name == ZERO or low == high:
        return lut(low, others)
    below, above = lut(low, others), lut(high, others)
    if (below, above) == (ZERO, ONE):
        return name
    if (below, above) == (ONE, ZERO):
        return f"~{name}"
    if high == low ^ full:
        return f"({name} ^ {below})"
    if below == ZERO:
        return f"({name} & {above})"
    if above == ZERO:
        return f"(~{name} & {below})"
    if below == ONE:
        return f"(~{name} | {above})"
    if above == ONE:
        return f"({name} | {below})"
    return f"({name} ? {above} : {below})"


@dataclass(frozen=True, kw_only=True)
class Register:
    """What flip-flops have in common: an edge of the clock, and names of what enables and what sets
    or resets them, or "".

    With ``gated`` the reset waits for the enable; ``asynchronous`` ones wait for no clock.
    """

    clock: str
    falling: bool = False
    enable: str = ""
    reset: str = ""
    gated: bool = False
    asynchronous: bool = False


@dataclass
class Writer:
    """Verilog as it grows.

    ``aliases`` are nets that are others by another name, such as those behind global buffers;
    ``given`` are names of nets that come from outside.
    """

    aliases: Mapping[int, int] = field(default_factory=dict)
    given: Mapping[int, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    nets: set[int] = field(default_factory=set)
    states: set[int] = field(default_factory=set)
    registers: dict[Register, list[tuple[str, str, int]]] = field(
        default_factory=lambda: defaultdict(list))

    def net(self, number: int) -> str:
        """The name of a net."""
        while number in self.aliases:
            number = self.aliases[number]
        if number in self.given:
            return self.given[number]
        self.nets.add(number)
        return f"n{number}"

    def pin(self, cell: Cell, name: str, left_open: str = "") -> str:
        """The name of the net at a pin, or what it reads as where it is ``left_open``."""
        return self.net(cell.pins[name]) if name in cell.pins else left_open

    def vector(self, cell: Cell, name: str, bits: int, left_open: str = ZERO) -> str:
        """Pins of a ``name`` and a number, as a vector."""
        pins = [self.pin(cell, f"{name}_{bit}", left_open) for bit in reversed(range(bits))]
        return f"{{{', '.join(pins)}}}"

    def inverted(self, name: str) -> str:
        """The name of a wire that is the inverse of another."""
        wire = "not_" + "".join(each for each in name if each.isalnum())
        if (line := f"  wire {wire} = ~{name};") not in self.lines:
            self.lines.append(line)
        return wire

    def assign(self, cell: Cell, name: str, expression: str) -> None:
        """What an output of ``cell`` is, if anything reads it."""
        if name in cell.pins:
            self.lines.append(f"  assign {self.net(cell.pins[name])} = {expression};")

    def register(self, cell: Cell, name: str, register: Register, data: str, value: int) -> None:
        """A flip-flop at an output of ``cell``, which is set or reset to ``value``."""
        if name in cell.pins:
            self.states.add(cell.pins[name])
            self.registers[register].append((self.net(cell.pins[name]), data, value))

    def instance(self, kind: str, name: str, parameters: Mapping[str, str],
                 ports: Mapping[str, str]) -> None:
        """A model; names of ``ports`` that say nothing are left open."""
        values = ", ".join(f".{key}({value})" for key, value in parameters.items())
        pins = ", ".join(f".{key}({value})" for key, value in ports.items())
        self.lines.append(f"  {kind} #({values}) \\{name} ({pins});" if values
                          else f"  {kind} \\{name} ({pins});")

    def text(self, inputs: Sequence[str], outputs: Mapping[str, str]) -> str:
        """The module, with the expression of each output."""
        head = ", ".join([*(f"input {name}" for name in inputs),
                          *(f"output {name}" for name in outputs)])
        nets = sorted(self.nets - self.states)
        states = sorted(self.states & self.nets)
        return "\n".join([
            f"module top({head});",
            *(f"  wire n{each};" for each in nets), *(f"  reg n{each};" for each in states),
            *(f"  assign {name} = {value};" for name, value in outputs.items()),
            *self.lines, *(line for item in self.registers.items() for line in _always(*item)),
            "endmodule", ""])


def _always(register: Register, flops: Sequence[tuple[str, str, int]]) -> list[str]:
    edge = f"{'negedge' if register.falling else 'posedge'} {register.clock}"
    if register.asynchronous and register.reset:
        edge += f" or posedge {register.reset}"
    take = [f"      {name} <= {data};" for name, data, _ in flops]
    reset = [f"      {name} <= 1'b{value};" for name, _, value in flops]
    enabled = [f"    if ({register.enable}) begin", *take, "    end"] if register.enable else [
        "    begin", *take, "    end"]
    if not register.reset:
        return [f"  always @({edge})", *enabled]
    if register.gated and register.enable and not register.asynchronous:
        return [f"  always @({edge})", f"    if ({register.enable}) begin",
                f"      if ({register.reset}) begin", *reset, "      end else begin", *take,
                "      end", "    end"]
    return [f"  always @({edge})", f"    if ({register.reset}) begin", *reset, "    end else",
            *enabled]
