"""Bitstreams of boards: designs that the tools accept, clocks that are met, words for those that
are not."""

import dataclasses
import json

import pytest
from amaranth import Signal

from boards.board import board_of, boards
from boards.builds import resized
from boards.devices import device_of
from boards.flow import bitstream
from boards.flow.bitstream import (
    Bitstream,
    TimingError,
    build_bitstream,
    check_timing,
    prepare,
)
from boards.flow.floorplan import draw, paths_of, unit_of, units_of
from boards.flow.progress import ITERATIONS, REPORTS, Progress
from boards.flow.toolchain import Netlist
from boards.flow.tools import ToolError
from boards.gateware.pll import Ecp5Pll, Ice40Pll, pll_of

MODULES = ("top", "top.core", "top.core.link", "top.core.link.engine", "top.core.rx$38",
           "top.core.rx$38.synchronizer", "top.core.accelerator", "top.core.accelerator.im2col",
           "top.core.accelerator.im2col.tiles", "top.core.accelerator.gemm",
           "top.core.accelerator.gemm.array_0")


@pytest.mark.parametrize("source, mhz", [(25, 90), (48, 90), (50, 87.5), (100, 133), (12, 24),
                                         (25, 71), (25, 200), (25, 3.2)])
def test_ecp5_dividers(source, mhz):
    pll = Ecp5Pll.of(source, mhz)
    vco = source / pll.i * pll.feedback * pll.op
    assert 400 <= vco <= 800 and 3.125 <= vco / pll.op <= 400 and source / pll.i >= 10
    assert all(1 <= divider <= 128 for divider in (pll.i, pll.feedback, pll.op, pll.os))
    assert vco / pll.os == pytest.approx(pll.mhz)
    assert 0.97 * mhz <= pll.mhz <= mhz + 0.001


@pytest.mark.parametrize("source, mhz", [(12, 24), (12, 30), (12, 36.2), (48, 20), (12, 120)])
def test_ice40_dividers(source, mhz):
    pll = Ice40Pll.of(source, mhz)
    vco = source / (pll.divr + 1) * (pll.divf + 1)
    assert 533 <= vco <= 1066 and 10 <= pll.pfd <= 133 and 1 <= pll.divq <= 6
    assert vco / 2 ** pll.divq == pytest.approx(pll.mhz)
    assert 0.97 * mhz <= pll.mhz <= mhz + 0.001


@pytest.mark.parametrize("family, mhz", [("ecp5", 900), ("ice40", 5), ("ice40", 2000)])
def test_pll_refuses_what_it_cannot_make(family, mhz):
    with pytest.raises(ValueError, match=rf"^the PLL cannot make {mhz} MHz of 12 MHz$"):
        pll_of(family, 12, mhz)


def test_a_late_copy_of_the_clock():
    for source, mhz in ((25, 90), (50, 90), (25, 120), (25, 47)):
        pll = Ecp5Pll.of(source, mhz)
        cell = pll.instance(Signal(), Signal(), Signal(), late=Signal(), degrees=270)
        phases = {name: cell.parameters[f"{name}_CPHASE"] + cell.parameters[f"{name}_FPHASE"] / 8
                  for name in ("CLKOS", "CLKOS2")}
        late = (phases["CLKOS2"] - phases["CLKOS"]) / pll.os * 360
        assert abs(late - 270) <= 360 / 16 / pll.os
        assert cell.parameters["CLKOS2_DIV"] == pll.os


def test_outputs_of_an_ecp5_pll_rise_together():
    parameters = Ecp5Pll.of(25, 90).instance(Signal(), Signal(), Signal()).parameters
    for name in "CLKOP", "CLKOS":
        assert parameters[f"{name}_CPHASE"] == parameters[f"{name}_DIV"] - 1
        assert parameters[f"{name}_FPHASE"] == 0


@pytest.mark.parametrize("pfd, expected", [(10, 1), (16, 1), (17, 2), (25, 2), (26, 3), (43, 3),
                                           (44, 4), (65, 4), (66, 5), (100, 5), (101, 6)])
def test_filter_range_of_an_ice40_pll(pfd, expected):
    """As icepll of Project IceStorm has them."""
    pll = Ice40Pll(divr=0, divf=63, divq=4, mhz=48, pfd=pfd)
    assert pll.instance(Signal(), Signal(), Signal()).parameters["FILTER_RANGE"].value == expected


@pytest.mark.parametrize("name", sorted(boards()))
def test_every_board_can_be_prepared(name):
    board = board_of(name)
    # A small array does for the pins; a memory that all share asks for 4 columns.
    params = board.params if board.params.single_memory else resized(
        board, rows=2, cols=2, drain_lanes=1)
    design = prepare(board, params=params)
    constraints, = design.constraints.values()
    assert board.link in constraints and board.platform_class()().default_clk
    assert design.pack[0] == {"ecp5": "ecppack", "ice40": "icepack"}[board.family]
    assert 0.9 * board.mhz <= design.mhz <= board.mhz + 0.001
    assert design.macs_per_cycle == params.pixel_lanes * params.array.rows * params.array.cols
    # The path of this checkout is not a part of the design, or its hash would depend on it.
    assert ".py:" not in design.rtlil


def test_resizing_fills_the_array_with_what_the_device_has():
    board = board_of("ulx3s-25f")
    params = resized(board, rows=4, cols=6, drain_lanes=2)
    assert (params.array.rows, params.array.cols, params.drain_lanes) == (4, 6, 2)
    assert params.activation_bytes == board.params.activation_bytes
    dsps = device_of(board.device).dsps
    kinds = [params.array.kind(row, stage) for row in range(4) for stage in range(3)]
    assert kinds.count("dsp2") + 2 * kinds.count("dsp") + 4 * params.drain_lanes <= dsps
    assert resized(board) is board.params


def test_cells_belong_to_the_innermost_unit():
    paths = paths_of("\n".join(f"module \\{name}" for name in MODULES))
    for name, unit in {"core.accelerator.im2col.tiles.x_LUT4_Z": "im2col",
                       "core.accelerator.gemm.array_0.cell_0_0.below": "array_0",
                       "core.accelerator.gemm.o_LUT4_Z": "gemm", "core.link.engine.a": "engine",
                       "core.rx$38.synchronizer.stage": "rx", "core.accelerator.x": "accelerator",
                       "$nextpnr_CCU2C_1": "rest"}.items():
        assert unit_of(name, paths) == unit


def test_breakdown_and_image(tmp_path):
    cells = {f"core.accelerator.im2col.a{n}": {
        "type": "TRELLIS_COMB", "attributes": {"NEXTPNR_BEL": f"X{n}/Y3/SLICEA.COMB0"}}
        for n in range(5)} | {"core.link.ram": {
            "type": "DP16KD", "attributes": {"NEXTPNR_BEL": "X4/Y9/EBR0"}}}
    placed = tmp_path / "placed.json"
    placed.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    paths = paths_of("\n".join(f"module \\{name}" for name in MODULES))
    assert units_of(placed, paths) == {"im2col": {"LUTs": 5}, "link": {"RAMs": 1}}
    draw(placed, paths, tmp_path / "plan.png", "a plan")
    assert (tmp_path / "plan.png").read_bytes()[1:4] == b"PNG"


def test_timing_that_is_not_met_is_told_in_words():
    fields = {field.name: 0 for field in dataclasses.fields(Bitstream)}
    build = Bitstream(**fields | {"board": "b", "clock_mhz": 90.0, "mhz": 79.67, "seed": 3,
                                  "critical_path": "from add to requantizer: 3 levels"})
    with pytest.raises(TimingError, match=r"^b does not meet timing at 90.0 MHz: Fmax is 79.67 MHz "
                                          r"with seed 3. The critical path runs from add to "
                                          r"requantizer"):
        check_timing(build)
    check_timing(dataclasses.replace(build, mhz=90.0))


def test_what_does_not_fit_is_told_before_place_and_route(tmp_path, monkeypatch):
    netlist = Netlist(folder=str(tmp_path), cells={"DP16KD": 57, "MULT18X18D": 28, "LUT4": 9},
                      multipliers=[], seconds=1)
    monkeypatch.setattr(bitstream, "netlist_of", lambda *_: netlist)
    board = board_of("ulx3s-25f")
    with pytest.raises(ToolError, match=r"^ulx3s-25f: the design takes 57 block RAMs, of which "
                                        r"there are 56. A smaller array"):
        build_bitstream(board, params=resized(board, rows=2, cols=2, drain_lanes=1),
                        workdir=tmp_path)


def test_macros_lie_apart_where_the_board_says_so(tmp_path, monkeypatch):
    (tmp_path / "netlist.json").write_text(json.dumps({"modules": {"top": {}}}))
    monkeypatch.setattr(bitstream, "netlist_of", lambda *_: Netlist(
        folder=str(tmp_path), cells={}, multipliers=[], seconds=1))
    asked = []

    def pin_macros(module, device, seed, *, spread_enables):
        asked.append((seed, spread_enables))
        raise ToolError("far enough")

    monkeypatch.setattr(bitstream, "pin_macros", pin_macros)
    board = board_of("ulx3s-25f")
    params = resized(board, rows=2, cols=2, drain_lanes=1)
    for seed, spread in ((3, False), (4, True)):
        spreading = dataclasses.replace(board, macros=True, spread_enables=spread)
        with pytest.raises(ToolError, match="^far enough$"):
            build_bitstream(spreading, seed=seed, params=params)
    assert asked == [(3, False), (4, True)]


def test_progress_tells_how_far_placing_and_routing_are():
    said = []
    say = Progress(said.append)
    for line in (
            "Info: Packing constants..",
            "Info:     at initial placer iter 3, wirelen = 27083",
            "Info:     at iteration #7, type ALL: wirelen solved = 4162, spread = 9310",
            "Info: overlap: COMB=17.6%, RAM=0.0%, DSP=0.0%, GB=0.0%, IO=0.0%",
            "Info: iter=513 steplen=2.746884 a=258.885529 penalty=[45.91, 45.91]",
            "Info: Routing globals...",
            "Info:            |   (re-)routed arcs  |   delta    | remaining|   time spent |",
            "Info: [  1064,   2945) |+",
            "Info:      24000 |     8797      14718 |  497   485 |      6799|   7.38  94.79|",
            "Info:     iter=3 wires=54321 overused=123 overuse=130 archfail=NA",
            "Info: Critical path report for clock 'clk' (posedge -> posedge):"):
        say(line)
    assert said == ["packing", "placing, iteration 3", "placing, iteration 7",
                    "placing, iteration 513", "routing clocks", "routing, 6799 arcs left",
                    "routing, 123 wires are used twice", "timing"]


def test_a_placer_that_diverges_is_stopped():
    say = Progress(lambda text: None)
    for iteration in range(ITERATIONS + 1):
        say(f"Info: iter={iteration} steplen=2.7 a=258.8 penalty=[45.91, 45.91]")
    with pytest.raises(ToolError, match="^nextpnr's static placer found no placement in 1500 "
                                        "iterations. Another --seed may do$"):
        say(f"Info: iter={ITERATIONS + 1} steplen=2.7 a=258.8 penalty=[45.91, 45.91]")


def test_a_router_that_gets_no_further_is_stopped():
    said = []
    say = Progress(said.append)

    def report(left):
        say(f"Info:      24000 |     8797      14718 |  497   485 |      {left}|   7.38  94.79|")

    # It takes up more than it lays for a while, as often as it likes, if it gets on after that.
    for least in (900, 800, 799):
        report(least)
        for turn in range(REPORTS - 1):
            report(least + turn % 2)
    report(798)
    for _ in range(REPORTS - 1):
        report(798)
    assert said[-1] == "routing, 798 arcs left"
    with pytest.raises(ToolError, match="^nextpnr's router does not get on: in 30 000 turns it has "
                                        "not brought the arcs that are left below 798. Another"):
        report(801)
