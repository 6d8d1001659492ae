# amaranth: UnusedElaboratable=no
"""Emitted Verilog, as other tools read it."""

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pyosys
import pytest
from amaranth.lib.wiring import In

from rtl.catalog import CORES, build_core
from rtl.export.verilog import emit_verilog, ports_of, run_yosys
from rtl.family import FAMILIES
from rtl.memory import BlockRam
from sim.compiled import find_verilator
from sim.primitives import models
from tests.support.paths import ROOT

SHARE = Path(pyosys.__file__).parent / "share"
WAIVERS = ROOT / "sim" / "lint.vlt"

#: The accelerator has an AXI4-Lite port, or this one.
WISHBONE = "accelerator_wishbone"

CASES = [*((core, family) for core in CORES for family in FAMILIES), (WISHBONE, "generic")]

cases = pytest.mark.parametrize("core, family", CASES)


#: Small, as Yosys takes each word of a memory by itself.
OPTIONS = {"gemm": {"depth": 32}, "im2col": {"buffer_bytes": 512},
           "conv2d": {"depth": 32, "buffer_bytes": 512},
           "accelerator": {"depth": 32, "buffer_bytes": 512, "activation_bytes": 1024,
                           "weight_bytes": 512, "channels": 32, "program_words": 64}}


@functools.cache
def build(core, family):
    bus = {"bus": "wishbone"} if core == WISHBONE else {}
    core = core.partition("_")[0]
    return build_core(core, rows=4, cols=4, family=family, **bus, **OPTIONS.get(core, {}))


@functools.cache
def emitted(core, family):
    return emit_verilog(build(core, family), f"systolith_{core}", platform=family)


def library(family):
    """Verilog files of the primitives that are instantiated."""
    match family:
        case "generic":
            return []
        case "ice40":
            return models(family)
        case "ecp5":  # Yosys' models of all the others are beyond Icarus
            return [*models(family)[:-1], SHARE / "ecp5" / "ccu2c_sim.vh"]


def write(core, family, folder):
    path = folder / f"systolith_{core}.v"
    path.write_text(emitted(core, family))
    return path


def declared(verilog, name):
    """Ports of the module ``name``: name -> (direction, bits)."""
    body = verilog[verilog.index(f"\nmodule {name}("):]
    body = body[:body.index("\nendmodule")]
    return {port: (direction, int(high or 0) + 1) for direction, high, port in re.findall(
        r"^  (input|output) (?:signed )?(?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)}


@cases
def test_header_describes_the_ports(core, family):
    verilog, component = emitted(core, family), build(core, family)
    head = verilog[:verilog.index("\nmodule ")]
    assert all(line.startswith("//") for line in head.splitlines() if line)
    table = {name: ({"in": "input", "out": "output"}[direction], int(bits))
             for name, direction, bits in re.findall(r"^// (\w+) +(in|out) +(\d+)  \S", head,
                                                     re.MULTILINE)}
    assert table == declared(verilog, f"systolith_{core}")
    assert table == {"clk": ("input", 1), "rst": ("input", 1)} | {
        name: ("input" if member.flow == In else "output", len(value))
        for name, (value, member, _) in ports_of(component).items()}


def test_header_says_what_ports_of_a_bus_are_for():
    for line in ("s_axi_araddr                 in      25  byte address of a read",
                 "s_axi_bvalid                 out      1  the payload is there",
                 "m_axis_tlast                 out      1  the word is the last of a transfer"):
        assert f"\n// {line}\n" in emitted("accelerator", "generic")
    assert ("\n// wb_err                       out      1  refused; for a cycle\n"
            in emitted(WISHBONE, "generic"))


@cases
def test_header_has_the_contract(core, family):
    verilog = emitted(core, family)
    head = verilog[:verilog.index("\nmodule ")]
    assert "// Members\n// -------\n" in head and "``" not in head and ":class:" not in head


def test_header_says_what_streams_are_for():
    assert """
// weights : In(stream.Signature(bytes_of(cols)))
//     Rows of a tile, row 0 first.
// params : In(stream.Signature(ArrayLayout(ChannelParams, drain_lanes)))
""" in emitted("gemm", "generic")


def test_header_describes_the_fields():
    assert """
// params__payload              in      71  stream params: 1 x fields, as below, number 0 in the low bits
//                                      32  . [31:0] [0].bias: signed 32 bits
//                                      34  . [65:32] [0].multiplier: unsigned 34 bits
//                                       5  . [70:66] [0].shift: unsigned 5 bits
// params__valid                in       1  stream params: the payload is there
// params__ready                out      1  stream params: the payload is taken
// range                        in      24  fields, as below
//                                       8  . [7:0] zero_point: signed 8 bits
//                                       8  . [15:8] low: signed 8 bits
//                                       8  . [23:16] high: signed 8 bits
""" in emitted("requantizer", "ice40")  # noqa: E501


@cases
def test_yosys_accepts(core, family, tmp_path):
    """Every instance has a module, every pin exists."""
    cells = sorted((SHARE / family).glob("cells_[bs][bi]*.v"))  # black boxes and models
    run_yosys([*(f"read_verilog -lib -I {path.parent} {path}" for path in cells),
               f"read_verilog {write(core, family, tmp_path)}",
               f"hierarchy -check -top systolith_{core}", "proc", "check -assert"])


@cases
def test_verilator_has_nothing_to_say(core, family, tmp_path):
    root, environment = find_verilator()
    path = write(core, family, tmp_path)
    done = subprocess.run(
        ["perl", root / "bin" / "verilator", "--lint-only", "-Wall", "--timescale", "1ns/1ps",
         "--top-module", f"systolith_{core}", WAIVERS, path,
         *(part for model in library(family) for part in ("-v", model))],
        env=environment, capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == 0


@cases
def test_icarus_has_nothing_to_say(core, family, tmp_path):
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on the PATH (Debian: apt-get install iverilog)")
    # Primitives have pins that are left open, and models with a time scale, unlike the cores.
    quiet = [] if family == "generic" else ["-Wno-timescale", "-Wno-portbind"]
    done = subprocess.run(
        ["iverilog", "-g2012", "-Wall", *quiet, "-DNO_ICE40_DEFAULT_ASSIGNMENTS",
         "-o", tmp_path / "out", "-s", f"systolith_{core}", write(core, family, tmp_path),
         *(part for model in library(family) for part in ("-l", model))],
        capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == 0


def test_lint_has_teeth(tmp_path):
    """The waivers leave what matters: a net without a driver, a missing pin, a loop."""
    root, environment = find_verilator()
    faults = {
        "UNDRIVEN": "wire n; assign o = n;",
        "PINMISSING": "part p(.a(i)); assign o = i;",
        "UNOPTFLAT": "wire [1:0] n; assign n = {n[0] & i, ~n[1]}; assign o = n[1];",
        "LATCH": "reg n; always @* if (i) n = 1; assign o = n;",
        "WIDTHTRUNC": "wire [1:0] n; assign n = {i, i}; assign o = n;",
    }
    for rule, body in faults.items():
        path = tmp_path / "faulty.v"
        path.write_text(f"module faulty(input i, output o); {body} endmodule\n"
                        "module part(input a, input b); endmodule\n")
        done = subprocess.run(
            ["perl", root / "bin" / "verilator", "--lint-only", "-Wall", "--top-module", "faulty",
             WAIVERS, path], env=environment, capture_output=True, text=True)
        assert done.returncode and f"%Warning-{rule}:" in done.stderr, rule


def test_memories_of_zeros_are_loops():
    text = emit_verilog(BlockRam(width=8, depth=1000))
    assert "for (word = 0; word <= 999; word = word + 1)\n      words[word] = 8'h00;" in text
    assert "words[1]" not in text


def test_names_are_kept_for_waveforms():
    component = build("im2col", "generic")
    assert "config__payload.y_step" in emit_verilog(component, names=True)
    assert "config__payload.y_step" not in emit_verilog(component)


@pytest.mark.parametrize("core, family, primitives", [
    ("array", "ice40", ["SB_MAC16"]),
    ("array", "ecp5", ["MULT18X18D"]),
    ("im2col", "ice40", ["SB_RAM40_4K"]),
    ("im2col", "ecp5", ["DP16KD"]),
    ("requantizer", "ecp5", ["MULT18X18D"]),
    ("conv2d", "ecp5", ["MULT18X18D", "DP16KD"]),
    ("conv2d", "generic", []),
])
def test_primitives_are_those_of_the_family(core, family, primitives):
    text = emitted(core, family)
    every = ["SB_MAC16", "SB_CARRY", "SB_RAM40_4K", "MULT18X18D", "DP16KD", "CCU2C"]
    assert set(primitives) <= {name for name in every if f"  {name} " in text}
    if family == "generic":
        assert not any(name in text for name in every)


def test_refuses_an_unknown_family():
    with pytest.raises(NotImplementedError, match=r"^no primitives are known for 'gowin'$"):
        emit_verilog(build("array", "generic"), platform="gowin")
