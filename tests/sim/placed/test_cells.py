"""Cells as expressions, against the models that Yosys ships: proved, for random parameters."""

import random
from pathlib import Path

import pyosys
import pytest
from pyosys import libyosys

from sim.placed import ecp5, ice40
from sim.placed.netlist import Cell, Placed, UnknownCell
from sim.placed.verilog import ONE, ZERO, Writer, lut

SHARE = Path(pyosys.__file__).parent / "share"


def test_look_up_tables(tmp_path):
    """Random tables, and those that depend on one input or none; of inputs and of constants."""
    rng = random.Random(0)
    tables = [0, 0xffff, 0xaaaa, 0xcccc, 0xf0f0, 0xff00, 0x5555, 0x00ff,
              *(rng.getrandbits(16) for _ in range(56))]
    names = [[rng.choice([f"i[{n}]", f"i[{n}]", ZERO, ONE]) for n in range(4)] for _ in tables]
    head = "(input [3:0] i, output [63:0] o);"
    mine = "".join(f"assign o[{n}] = {lut(table, inputs)};\n"
                   for n, (table, inputs) in enumerate(zip(tables, names, strict=True)))
    theirs = "".join(f"wire [15:0] t{n} = {table};\n"
                     f"assign o[{n}] = t{n}[{{{', '.join(inputs[::-1])}}}];\n"
                     for n, (table, inputs) in enumerate(zip(tables, names, strict=True)))
    prove_equal(tmp_path, f"module mine{head}\n{mine}endmodule\n",
                f"module theirs{head}\n{theirs}endmodule\n", [], 4, 64)


def verilog(family, cells, inputs, outputs):
    """A module of ``cells`` whose nets are numbered like the bits of its ports."""
    given = {number: f"i[{number}]" for number in range(inputs)}
    writer = Writer(given=given)
    family.write(writer, Placed(cells=tuple(cells), ports={}))
    body = writer.text([], {})
    driven = "".join(f"  assign o[{bit}] = {writer.net(inputs + bit)};\n" for bit in range(outputs))
    return body.replace("module top();", f"module mine(input [{inputs - 1}:0] i, "
                        f"output [{outputs - 1}:0] o);").replace("endmodule", driven + "endmodule")


def prove_equal(tmp_path, mine, theirs, models, inputs, outputs, first=0):
    """No inputs of four cycles tell the modules apart, after a ``first`` one with the reset on."""
    (tmp_path / "both.v").write_text(f"""{mine}{theirs}
module both(input [{inputs - 1}:0] i, output differ);
  wire [{outputs - 1}:0] a, b;
  mine mine(i, a);
  theirs theirs(i, b);
  assign differ = a != b;
endmodule
""")
    design = libyosys.Design()
    for path in models:
        design.run_pass(f"read_verilog -defer -nooverwrite -I {path.parent} {path}")
    design.run_pass(f"read_verilog {tmp_path / 'both.v'}")
    for command in ("hierarchy -top both", "proc", "flatten", "async2sync", "opt_clean",
                    f"sat -verify -prove differ 0 -seq 5 -prove-skip 1 -set-at 1 i {first}"):
        design.run_pass(command)


@pytest.mark.parametrize("flop", ["", "SB_DFFESR", "SB_DFFESS", "SB_DFFER", "SB_DFFES"])
def test_logic_cells_of_ice40(tmp_path, flop):
    """A look-up table, a carry and a flip-flop in one."""
    rng = random.Random(flop)
    names = ["I0", "I1", "I2", "I3", "CIN", "CLK", "CEN", "SR"]
    table = rng.getrandbits(16)
    parameters = {
        "LUT_INIT": f"{table:016b}", "CARRY_ENABLE": "1", "DFF_ENABLE": str(int(flop != "")),
        "SET_NORESET": str(int(flop.endswith("S"))), "ASYNC_SR": str(int(len(flop) == 8)),
        "NEG_CLK": "0", "CIN_CONST": "0", "CIN_SET": "0"}
    cell = Cell(name="cell", kind="ICESTORM_LC", parameters=parameters, pins={
        **{name: number for number, name in enumerate(names)}, "O": 8, "COUT": 9, "LO": 10})
    state = (f"{flop} flop(.Q(o[0]), .C(i[5]), .E(i[6]), .{flop[-1]}(i[7]), .D(o[2]));" if flop
             else "assign o[0] = o[2];")
    theirs = f"""module theirs(input [7:0] i, output [2:0] o);
  SB_LUT4 #(.LUT_INIT({table})) lut (.O(o[2]), .I0(i[0]), .I1(i[1]), .I2(i[2]), .I3(i[3]));
  SB_CARRY carry (.CO(o[1]), .I0(i[1]), .I1(i[2]), .CI(i[4]));
  {state}
endmodule
"""
    prove_equal(tmp_path, verilog(ice40, [cell], 8, 3), theirs, [SHARE / "ice40/cells_sim.v"],
                8, 3, 0xc0)


@pytest.mark.parametrize("seed", range(6))
def test_flip_flops_of_ecp5(tmp_path, seed):
    rng = random.Random(seed)
    parameters = {"CEMUX": ["CE", "INV", "1"][seed % 3], "LSRMUX": ["LSR", "INV"][seed % 2],
                  "CLKMUX": "CLK", "REGSET": rng.choice(["SET", "RESET"]), "GSR": "DISABLED",
                  "SRMODE": ["LSR_OVER_CE", "ASYNC"][seed == 5]}
    cell = Cell(name="cell", kind="TRELLIS_FF", parameters=parameters | {"SD": "1"},
                pins={"CLK": 0, "LSR": 1, "CE": 2, "DI": 3, "Q": 4})
    values = ", ".join(f'.{name}("{value}")' for name, value in parameters.items())
    theirs = (f"module theirs(input [3:0] i, output [0:0] o); TRELLIS_FF #({values}) cell ("
              ".CLK(i[0]), .LSR(i[1]), .CE(i[2]), .DI(i[3]), .Q(o[0])); endmodule\n")
    prove_equal(tmp_path, verilog(ecp5, [cell], 4, 1), theirs, [SHARE / "ecp5/cells_sim.v"],
                4, 1, 2 * (parameters["LSRMUX"] == "LSR") + 4 * (parameters["CEMUX"] == "CE"))


@pytest.mark.parametrize("inject", ["NO", "YES"])
@pytest.mark.parametrize("seed", range(3))
def test_carries_of_ecp5(tmp_path, inject, seed):
    """Two cells are a CCU2C."""
    rng = random.Random(seed)
    tables = [rng.getrandbits(16), rng.getrandbits(16)]
    inputs = [*(f"{name}{half}" for half in range(2) for name in "ABCD"), "CIN"]
    nets = {name: number for number, name in enumerate(inputs)}
    carries = [nets["CIN"], 20, 11]
    cells = [Cell(name=f"half{half}", kind="TRELLIS_COMB", parameters={
        "MODE": "CCU2", "INITVAL": f"{tables[half]:016b}", "CCU2_INJECT1": inject}, pins={
            **{name: nets[f"{name}{half}"] for name in "ABCD"}, "FCI": carries[half],
            "FCO": carries[half + 1], "F": 9 + half}) for half in range(2)]
    pins = ", ".join(f".{name}(i[{number}])" for name, number in nets.items())
    theirs = (f"module theirs(input [8:0] i, output [2:0] o); CCU2C #(.INIT0({tables[0]}), "
              f'.INIT1({tables[1]}), .INJECT1_0("{inject}"), .INJECT1_1("{inject}")) cell ({pins}, '
              ".S0(o[0]), .S1(o[1]), .COUT(o[2])); endmodule\n")
    prove_equal(tmp_path, verilog(ecp5, cells, 9, 3), theirs, [SHARE / "ecp5/cells_sim.v"],
                9, 3)


def test_what_has_no_model_is_refused():
    for family, cell in (
            (ice40, Cell(name="x", kind="SB_I2C", parameters={}, pins={})),
            (ecp5, Cell(name="x", kind="TRELLIS_COMB", parameters={"MODE": "DPRAM"}, pins={})),
            (ecp5, Cell(name="x", kind="TRELLIS_FF", parameters={"CEMUX": "0"}, pins={}))):
        with pytest.raises(UnknownCell, match=r"^x .*, of which there is no model$"):
            family.write(Writer(), Placed(cells=(cell,), ports={}))
