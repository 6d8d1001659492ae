# amaranth: UnusedElaboratable=no
"""Models of primitives against their documents, and against Yosys, which infers the same cells."""

import itertools
import random
import tempfile
from pathlib import Path

import pytest
from amaranth import *
from amaranth.back import rtlil
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from pyosys import libyosys

from rtl.memory import BlockRam
from sim.primitives import models, run

CORNERS = 0, 1, 0x1FFFF, 0x20000, 0x20001, 0x3FFFF


def signed18(value):
    return value - (1 << 18) if value >> 17 else value


def pack(*fields):
    """One number of ``(value, width)`` fields, the first lowest."""
    word = 0
    for value, width in reversed(fields):
        word = word << width | value
    return word


class Synthesised(wiring.Component):
    """A component, as Yosys maps it to ECP5 by itself; ``netlist`` is what it makes of it."""

    def __init__(self, component):
        super().__init__(component.signature)
        design = libyosys.Design()
        with tempfile.TemporaryDirectory() as folder:
            source, result = Path(folder) / "source.il", Path(folder) / "result.il"
            source.write_text(rtlil.convert(component, name="netlist"))
            for command in (f"read_rtlil {source}", "synth_ecp5 -top netlist", "select netlist",
                            f"write_rtlil -selected {result}"):
                design.run_pass(command)
            self.netlist = result.read_text()

    def elaborate(self, platform):
        m = Module()
        m.submodules.netlist = Instance(
            "netlist", ("i", "clk", ClockSignal()), ("i", "rst", 0),
            *(("i" if member.flow == In else "o", name, getattr(self, name))
              for name, member in self.signature.members.items()))
        return m


class Memory(wiring.Component):
    """A memory that Yosys infers block RAM for."""

    def __init__(self, width, depth):
        self.width, self.depth = width, depth
        super().__init__(BlockRam(width=width, depth=depth).signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(self.write_en), write.addr.eq(self.write_addr),
            write.data.eq(self.write_data), read.en.eq(self.read_en),
            read.addr.eq(self.read_addr), self.read_data.eq(read.data),
        ]
        return m


class Product(wiring.Component):
    """A product that Yosys infers a multiplier for, and a register behind it."""

    def __init__(self, operand):
        super().__init__({"a": In(operand), "b": In(operand), "p": Out(36)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.p.eq(self.a * self.b)
        return m


class Multiplier(wiring.Component):
    """A ``MULT18X18D`` with some registers, each with a clock enable of its own."""

    REGISTERS = "INPUTA", "INPUTB", "PIPELINE", "OUTPUT"

    a: In(18)
    b: In(18)
    signs: In(2)
    enables: In(4)
    p: Out(36)

    def __init__(self, registers):
        self.registers = registers
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.mult = Instance(
            "MULT18X18D",
            *(("p", f"REG_{register}_CLK", "CLK0") for register in self.registers),
            *(("p", f"REG_{register}_CE", f"CE{number}")
              for number, register in enumerate(self.REGISTERS)),
            *(("i", f"CE{number}", self.enables[number]) for number in range(4)),
            *(("i", f"{pin}{bit}", value[bit]) for pin, value in (("A", self.a), ("B", self.b))
              for bit in range(18)),
            *(("o", f"P{bit}", self.p[bit]) for bit in range(36)),
            i_SIGNEDA=self.signs[0], i_SIGNEDB=self.signs[1], i_SOURCEA=0, i_SOURCEB=0,
            i_CLK0=ClockSignal(), i_RST0=0)
        return m

    def expected(self, inputs):
        """Products in each cycle, :data:`None` while a register on the way is unknown."""
        held = dict.fromkeys(self.registers)
        for a, b, signs, enables in inputs:
            def through(register, value, enables=enables):
                if register not in self.registers:
                    return value
                now = held[register]
                if enables >> self.REGISTERS.index(register) & 1:
                    held[register] = value
                return now

            a = through("INPUTA", signed18(a) if signs & 1 else a)
            b = through("INPUTB", signed18(b) if signs & 2 else b)
            p = None if a is None or b is None else a * b & (1 << 36) - 1
            yield through("OUTPUT", through("PIPELINE", p))


class Block(wiring.Component):
    """A ``DP16KD``, 18 bits wide, with all the pins that matter."""

    write: In(2)   #: CEA, WEA
    bytes: In(2)
    write_addr: In(10)
    write_data: In(18)
    read: In(2)    #: CEB, OCEB
    read_addr: In(10)
    read_data: Out(18)

    def __init__(self, regmode):
        self.regmode = regmode
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        buses = {"ADA": Cat(self.bytes, Const(0, 2), self.write_addr),
                 "ADB": Cat(Const(0, 4), self.read_addr),
                 "DIA": self.write_data, "DIB": Const(0, 18),
                 "CSA": Const(0, 3), "CSB": Const(0, 3)}
        m.submodules.block = Instance(
            "DP16KD", p_REGMODE_A=self.regmode, p_REGMODE_B=self.regmode,
            **{f"i_{bus}{bit}": value for bus, bits in buses.items()
               for bit, value in enumerate(bits)},
            **{f"o_DOB{bit}": self.read_data[bit] for bit in range(18)},
            i_CLKA=ClockSignal(), i_CEA=self.write[0], i_WEA=self.write[1], i_OCEA=0, i_RSTA=0,
            i_CLKB=ClockSignal(), i_CEB=self.read[0], i_OCEB=self.read[1], i_WEB=0, i_RSTB=0)
        return m


def test_every_model_is_there():
    assert [path.name for path in models("ice40")] == ["cells_sim.v"]
    assert [path.name for path in models("ecp5")] == ["dp16kd.v", "mult18x18d.v", "cells_sim.v"]
    assert all(path.is_file() for family in ("ice40", "ecp5") for path in models(family))


@pytest.mark.parametrize("registers", [
    registers for count in range(5)
    for registers in itertools.combinations(Multiplier.REGISTERS, count)], ids="+".join)
def test_each_register_of_the_multiplier_is_a_cycle(registers):
    rng = random.Random(f"{registers}")
    inputs = [(rng.choice([*CORNERS, rng.randrange(1 << 18)]),
               rng.choice([*CORNERS, rng.randrange(1 << 18)]),
               rng.randrange(4), rng.choice([15, rng.randrange(16)])) for _ in range(200)]
    dut = Multiplier(registers)
    results = run(dut, "ecp5", [pack((a, 18), (b, 18), (signs, 2), (enables, 4))
                                for a, b, signs, enables in inputs])
    # A product with zero is known even where the other operand is not.
    assert [want if want is None else got for got, want in zip(
        results, dut.expected(inputs), strict=True)] == list(dut.expected(inputs))


@pytest.mark.parametrize("operand", [signed(18), unsigned(18)])
def test_multiplier_that_yosys_infers(operand):
    rng = random.Random(f"{operand}")
    inputs = [*itertools.product(CORNERS, repeat=2),
              *((rng.randrange(1 << 18), rng.randrange(1 << 18)) for _ in range(100))]
    dut = Synthesised(Product(operand))
    assert dut.netlist.count("cell \\MULT18X18D") == 1
    convert = signed18 if operand.signed else int
    results = run(dut, "ecp5", [pack((a, 18), (b, 18)) for a, b in inputs], netlists=[dut.netlist])
    assert results[1:] == [convert(a) * convert(b) & (1 << 36) - 1 for a, b in inputs[:-1]]


@pytest.mark.parametrize("width, depth", [
    (36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)])
def test_block_ram_that_yosys_infers(width, depth):
    rng = random.Random(f"{width}")
    address = (depth - 1).bit_length()
    regions = [0, depth - 1, *(1 << bit for bit in range(address)), *rng.sample(range(depth), 8)]
    stimulus = []
    for _ in range(500):
        write_addr, read_addr = rng.choice(regions), rng.choice(regions)
        write_en = rng.random() < 0.6 and write_addr != read_addr
        stimulus.append(pack((write_en, 1), (write_addr, address),
                             (rng.randrange(1 << width), width), (rng.random() < 0.7, 1),
                             (read_addr, address)))
    dut = Synthesised(Memory(width, depth))
    assert dut.netlist.count("cell \\DP16KD") == 1
    expected = run(BlockRam(width=width, depth=depth), "generic", stimulus)
    results = run(dut, "ecp5", stimulus, netlists=[dut.netlist])
    assert results[10:] == expected[10:]


@pytest.mark.parametrize("regmode", ["NOREG", "OUTREG"])
def test_registers_of_the_block_ram_have_enables_of_their_own(regmode):
    rng = random.Random(regmode)
    words = [0] * 1024
    first = second = None
    stimulus, expected = [], []
    for _ in range(1000):
        write, enabled, read = rng.choice([3, rng.randrange(4)]), rng.randrange(4), rng.randrange(4)
        write_addr, read_addr = (rng.choice([0, 1, 512, 1023]) for _ in range(2))
        data = rng.randrange(1 << 18)
        stimulus.append(pack((write, 2), (enabled, 2), (write_addr, 10), (data, 18), (read, 2),
                             (read_addr, 10)))
        expected.append(second if regmode == "OUTREG" else first)
        if read & 2:
            second = first
        if read & 1:
            collides = write == 3 and enabled and write_addr == read_addr
            first = None if collides else words[read_addr]
        if write == 3:
            mask = (0x1FF if enabled & 1 else 0) | (0x3FE00 if enabled & 2 else 0)
            words[write_addr] = words[write_addr] & ~mask | data & mask
    assert run(Block(regmode), "ecp5", stimulus) == expected
