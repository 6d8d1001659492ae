# amaranth: UnusedElaboratable=no
"""The flow from a core to its figures, on cores so small that they are known beforehand."""

import json
import random
from dataclasses import dataclass

import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from boards.devices import DEVICES, device_of
from boards.flow.harness import Harness
from boards.flow.report import dsp_period, report
from boards.flow.toolchain import (
    Netlist,
    place_and_route,
    plain_names,
    synthesise,
    trim_carries,
)
from boards.flow.tools import Tool, ToolError, cached
from rtl.array import SystolicArray
from rtl.family import FAMILIES
from rtl.params import ArrayParams

ALL_REGISTERS = {"A_REG": 1, "B_REG": 1, "TOP_8x8_MULT_REG": 1, "BOT_8x8_MULT_REG": 1,
                 "PIPELINE_16x16_MULT_REG1": 1, "PIPELINE_16x16_MULT_REG2": 1}


class Gates(wiring.Component):
    """``width`` registers, each behind a LUT with two inputs or none."""

    def __init__(self, width, *, luts=True):
        self.luts = luts
        super().__init__({"i": In(width + 1), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        late = Signal.like(self.o, reset_less=True)
        m.d.sync += late.eq(self.i[1:] ^ self.i if self.luts else self.i)
        m.d.comb += self.o.eq(late)
        return m


class Unknown(Gates):
    """A component with a cell that no tool knows."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.submodules.cell = Instance("NO_SUCH_CELL", i_a=self.i[0])
        return m


def array(size, kind):
    return SystolicArray(ArrayParams(rows=size, cols=size, products=((kind, None),)))


def no_tool(*arguments):
    raise AssertionError("a tool was run")


def test_devices_go_by_their_names():
    assert list(DEVICES) == ["up5k", "hx8k", "lfe5u-12f", "lfe5u-25f", "lfe5u-45f", "lfe5u-85f"]
    for name, device in DEVICES.items():
        assert device_of(name) is device and device.name == name
        assert device.family in FAMILIES and device.luts > 5000 and device.rams >= 30


def test_refuses_an_unknown_device():
    with pytest.raises(ValueError, match=r"^device must be one of up5k, hx8k, lfe5u-12f, lfe5u-25f,"
                                         r" lfe5u-45f, lfe5u-85f, not 'up6k'; did you mean "
                                         r"up5k\?$"):
        report(Gates(1), "up6k", "gates", 1)


def test_refuses_to_place_from_no_seed():
    with pytest.raises(ValueError, match=r"^seeds must name at least one$"):
        report(Gates(1), "up5k", "gates", 1, seeds=())


def test_harness_refuses_what_is_no_component():
    with pytest.raises(TypeError, match=r"^core must be a component, not 3$"):
        Harness(3)


@pytest.mark.parametrize("width", [1, 4, 5, 21])
def test_harness_reaches_every_port(width):
    """Each bit that is scanned in passes all inputs, and every output has its say in the fold."""
    dut = Harness(Gates(width))
    rng = random.Random(width)
    bits = [rng.randrange(2) for _ in range(300)]
    levels = 0
    while 4 ** levels < width:
        levels += 1
    folds = []

    async def bench(ctx):
        for bit in bits:
            ctx.set(dut.scan, bit)
            *_, fold = await ctx.tick().sample(dut.fold)
            folds.append(fold)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    # The parity of all the exclusive ors of neighbours is that of the first bit and the last.
    latency = 3 + levels
    assert folds[latency + width:] == [bits[at] ^ bits[at + width]
                                       for at in range(len(bits) - latency - width)]


@pytest.mark.parametrize("device", ["hx8k", "up5k", "lfe5u-25f"])
@pytest.mark.parametrize("width, luts", [(1, True), (40, True), (40, False)])
def test_harness_counts_nothing_of_itself(device, width, luts, tmp_path):
    netlist = synthesise(Gates(width, luts=luts), device_of(device), tmp_path)
    lut, register = {"ice40": ("SB_LUT4", "SB_DFF"), "ecp5": ("LUT4", "TRELLIS_FF")}[
        device_of(device).family]
    assert netlist.cells == {register: width, **({lut: width} if luts else {})}
    assert netlist.multipliers == []


def test_harness_is_not_what_a_device_is_filled_with(tmp_path):
    for luts in False, True:
        result = report(Gates(60, luts=luts), "hx8k", "gates", 1, seeds=[1], workdir=tmp_path)
        assert (result.luts, result.ffs) == (60, 60)  # a logic cell has both
        assert result.total_luts > 60 + 61  # registers of the harness in front and behind
        assert result.mhz_median == result.mhz_min == result.mhz_max
        assert result.bound_by in {"core", "harness", "interface"}
    ecp5 = report(Gates(60), "lfe5u-25f", "gates", 1, seeds=[1], workdir=tmp_path)
    assert (ecp5.luts, ecp5.ffs, ecp5.carries, ecp5.dsps, ecp5.rams) == (60, 60, 0, 0, 0)


@pytest.mark.parametrize("device, kind, dsps", [("up5k", "mac16", 2), ("lfe5u-25f", "dsp", 4)])
def test_report_of_an_array(device, kind, dsps, tmp_path):
    said = []
    result = report(array(2, kind), device, "array", 4, seeds=[2], progress=said.append,
                    workdir=tmp_path)
    assert (result.name, result.device, result.part) == ("array", device, device_of(device).part)
    assert (result.dsps, result.rams, result.sprams) == (dsps, 0, 0)
    # Weights, one row of them on the way, sums, activations: what an array of 2 x 2 cannot do
    # without. An iCE40's multipliers have registers for sums of the first row.
    assert result.ffs >= 32 + 16 + 2 * (17 + (0 if kind == "mac16" else 16)) + 16
    assert 20 < result.luts < 200 and result.luts < result.total_luts < result.device_luts
    assert 30 < result.mhz_median < 400
    assert result.gmacs == pytest.approx(4 * result.mhz_median / 1e3, abs=1e-3)
    assert result.luts_per_mac == pytest.approx(result.luts / 4, abs=0.051)
    assert result.dsp_delays_counted == (kind == "mac16")
    assert [placement["seed"] for placement in result.placements] == [2]
    assert [line.split()[:3] for line in said] == [["array:", "synthesised", "for"],
                                                   ["array:", "seed", "2"]]
    assert json.loads(json.dumps(result.as_dict()))["versions"].keys() == {
        "amaranth", "pyosys", f"nextpnr-{device_of(device).family}"}


@pytest.mark.parametrize("changes, expected", [
    ({}, 20.0),                                                    # within the period
    ({"MODE_8x8": 0}, 20.0),
    ({"A_REG": 0}, 26.0),                                          # a path before it
    ({"B_REG": 0, "MODE_8x8": 0}, 29.1),
    ({"BOT_8x8_MULT_REG": 0}, 26.0),                               # a path behind it
    ({"A_REG": 0, "TOP_8x8_MULT_REG": 0}, 46.0),                   # both
    ({"TOPOUTPUT_SELECT": 1, "TOP_8x8_MULT_REG": 0}, 20.0),        # behind the adder
    ({"TOPOUTPUT_SELECT": 0}, 26.0),                               # the adder without its register
    ({"TOPOUTPUT_SELECT": 3, "BOTOUTPUT_SELECT": 3, "MODE_8x8": 0}, 20.0),
    ({"TOPOUTPUT_SELECT": 3, "BOTOUTPUT_SELECT": 3, "MODE_8x8": 0,
      "PIPELINE_16x16_MULT_REG2": 0}, 29.1),
])
def test_dsp_period(changes, expected):
    values = ALL_REGISTERS | {"MODE_8x8": 1, "TOPOUTPUT_SELECT": 2, "BOTOUTPUT_SELECT": 2} | changes
    parameters = {name: f"{value:032b}" for name, value in values.items()}
    assert dsp_period(20.0, parameters) == pytest.approx(expected)


def test_dsp_bounds_the_period():
    parameters = {name: "1" for name in ALL_REGISTERS} | {
        "MODE_8x8": "1", "TOPOUTPUT_SELECT": "10", "BOTOUTPUT_SELECT": "10"}
    assert dsp_period(4.0, parameters) == 6.0
    assert dsp_period(4.0, parameters | {"MODE_8x8": "0"}) == 9.1


def test_names_are_told_from_slices():
    text = r"connect \a.b[12].c [3] { \d[0][1] [7:4] 2'10 \e }" + "\n  wire width 2 \\f[9]\n"
    assert plain_names(text) == (r"connect \a.b.12.c [3] { \d.0.1 [7:4] 2'10 \e }"
                                 "\n  wire width 2 \\f.9\n")


def test_items_of_arrays_are_no_bits_of_wires(tmp_path):
    """A design in which Yosys takes one for the other, unless their names differ."""
    netlist = synthesise(array(8, "dsp"), device_of("lfe5u-45f"), tmp_path)
    assert netlist.cells["MULT18X18D"] == 64


def test_carries_that_go_nowhere_are_trimmed():
    def cell(kind, **pins):
        return {"type": kind, "connections": {name: [bit] for name, bit in pins.items()}}

    cells = {"low": cell("CCU2C", COUT=2), "high": cell("CCU2C", CIN=2, COUT=3),
             "to a port": cell("CCU2C", COUT=4), "lut": cell("LUT4", Z=5)}
    trim_carries({"modules": {"top": {"cells": cells, "ports": {"o": {"bits": [4]}}}}})
    assert [cells[name]["connections"]["COUT"] for name in ("low", "high", "to a port")] == [
        [2], ["x"], [4]]


def test_results_are_kept(tmp_path, monkeypatch):
    device = device_of("hx8k")
    netlist = synthesise(Gates(3), device, tmp_path)
    placement = place_and_route(netlist, device, seed=1)
    other = place_and_route(netlist, device, seed=2)
    assert (placement.seed, other.seed) == (1, 2)

    monkeypatch.setattr(Tool, "run", no_tool)
    assert synthesise(Gates(3), device, tmp_path) == netlist
    assert place_and_route(netlist, device, seed=1) == placement
    assert place_and_route(netlist, device, seed=2, frequency=device.frequency) == other
    for run in (lambda: synthesise(Gates(4), device, tmp_path),
                lambda: synthesise(Gates(3), device_of("up5k"), tmp_path),
                lambda: place_and_route(netlist, device, seed=3),
                lambda: place_and_route(netlist, device, seed=1, frequency=33)):
        with pytest.raises(AssertionError, match="a tool was run"):
            run()


@dataclass(frozen=True)
class Kept:
    file: str

    @property
    def files(self):
        return [self.file]


@pytest.mark.parametrize("spoil", [
    lambda path, file: file.unlink(), lambda path, file: path.write_text("{"),
    lambda path, file: path.write_text("[1]"), lambda path, file: path.write_text('{"other": 1}')])
def test_results_that_are_not_whole_are_made_again(tmp_path, spoil):
    path, file, runs = tmp_path / "result.json", tmp_path / "bits", []

    def run(scratch):
        runs.append(scratch)
        file.write_text("10")
        return Kept(str(file))

    assert cached(path, Kept, run) == cached(path, Kept, run) == Kept(str(file))
    assert len(runs) == 1
    spoil(path, file)
    assert cached(path, Kept, run) == Kept(str(file)) and file.exists()
    assert len(runs) == 2


def test_failure_of_yosys(tmp_path):
    with pytest.raises(ToolError, match=r"(?s)^Yosys failed:\n.*ERROR.*NO_SUCH_CELL"):
        synthesise(Unknown(1), device_of("up5k"), tmp_path)
    assert not list(tmp_path.glob("*/*"))  # nothing that could be taken for a result


def test_failure_of_nextpnr(tmp_path):
    device = device_of("up5k")
    netlist = synthesise(array(6, "mac16"), device, tmp_path)  # 18 multipliers
    with pytest.raises(ToolError, match=r"(?s)^nextpnr failed:\n.*ERROR.*DSP"):
        place_and_route(netlist, device, seed=1)
    assert len(list(tmp_path.glob("*/*.json"))) == 2  # the netlist, and what is known of it


def test_tools_run_out_of_time(tmp_path):
    with pytest.raises(ToolError, match=r"^Yosys was not done after 0.01 s$"):
        synthesise(Gates(1), device_of("up5k"), tmp_path, timeout=0.01)
    netlist = Netlist(folder=str(tmp_path), cells={}, multipliers=[], seconds=0)
    (tmp_path / "netlist.json").write_text("{}")
    with pytest.raises(ToolError, match=r"^nextpnr was not done after 0.01 s$"):
        place_and_route(netlist, device_of("up5k"), seed=1, timeout=0.01)
