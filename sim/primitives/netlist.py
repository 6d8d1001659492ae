"""Components with vendor primitives, simulated with models of the primitives in Yosys."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyosys
from amaranth import *
from amaranth.back import rtlil
from amaranth.build import Platform
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from pyosys import libyosys

from rtl.family import family_of

__all__ = ["load", "models", "run"]


def models(family: str) -> list[Path]:
    """Verilog files that model the primitives of ``family``; where two have the same, the first.

    Yosys has models of its own, but none of the multiplier and of the block RAM of ECP5.
    """
    shipped = Path(pyosys.__file__).parent / "share" / family / "cells_sim.v"
    return [*sorted((Path(__file__).parent / family).glob("*.v")), shipped]


def load(top: Elaboratable, family: str | Platform, *, ports: Sequence[Value] | None = None,
         netlists: Iterable[str] = ()) -> libyosys.Design:
    """``top``, elaborated for ``family``, or a platform, as a flat Yosys design that needs no other
    cells.

    ``netlists`` are RTLIL texts of modules that ``top`` instantiates.
    """
    design = libyosys.Design()
    for text in rtlil.convert(top, platform=family, name="top", ports=ports), *netlists:
        with tempfile.NamedTemporaryFile("w", suffix=".il") as file:
            file.write(text)
            file.flush()
            design.run_pass(f"read_rtlil {file.name}")
    if family_of(family) != "generic":
        for path in models(family_of(family)):
            design.run_pass(f"read_verilog -defer -nooverwrite -I {path.parent} {path}")
    for command in ("hierarchy -check -top top", "proc", "flatten", "memory_collect",
                    "memory_nordff", "opt_clean"):
        design.run_pass(command)
    return design


class Bench(Elaboratable):
    """``component`` with a word of ``words`` on its inputs, one after the other, as bits."""

    def __init__(self, component: wiring.Component, words: Sequence[int]) -> None:
        members = [(member.flow, Value.cast(value))
                   for _, member, value in component.signature.flatten(component)
                   if not isinstance(value, Const)]  # of streams that are always ready
        self.inputs = Cat(value for flow, value in members if flow == In)
        self.outputs = Cat(value for flow, value in members if flow != In)
        self.component, self.words = component, words
        self.sync = ClockDomain(reset_less=True)
        self.o = Signal(len(self.outputs))

    def elaborate(self, platform: str | Platform | None) -> Module:
        m = Module()
        m.domains.sync = self.sync
        m.submodules.dut = self.component
        m.submodules.words = words = Memory(
            shape=len(self.inputs), depth=len(self.words), init=self.words)
        word = words.read_port(domain="comb")
        m.d.sync += word.addr.eq(word.addr + 1)
        m.d.comb += [self.inputs.eq(word.data), self.o.eq(self.outputs)]
        return m


def run(component: wiring.Component, family: str | Platform, stimulus: Sequence[int], *,
        netlists: Iterable[str] = ()) -> list[int | None]:
    """What ``component`` gives in each cycle, elaborated for ``family``, or a platform.

    ``stimulus`` has the inputs of each cycle, and the result its outputs: both as one number, with
    the members in the order of the signature from the lowest bit on. Registers that nothing has
    set yet are unknown, except for those to which Amaranth gives an initial value; a result with
    an unknown bit is :data:`None`. ``netlists`` are RTLIL texts of modules it instantiates.
    """
    bench = Bench(component, stimulus)
    design = load(bench, family, ports=[bench.sync.clk, bench.o], netlists=netlists)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.vcd"
        design.run_pass(f"sim -q -clock clk -n {len(stimulus)} -vcd {trace}")
        changes = trace.read_text().splitlines()

    codes: dict[str, str] = {}
    now: dict[str, str] = {}
    before, results = "", []
    for change in changes:
        match change.split():
            case ["$var", _, _, code, name, *_]:
                codes.setdefault(name, code)
            case [time] if time[0] == "#":
                before = now.get(codes["o"], "")
            case [bits, code]:
                now[code] = bits[1:]
                if code == codes["clk"] and bits == "b1":
                    results.append(before)
    return [int(bits, 2) if set(bits) <= {"0", "1"} else None for bits in results]
