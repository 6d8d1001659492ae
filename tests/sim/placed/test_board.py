"""Pads, clocks and resets of a board made of a placed netlist."""

import json

import pytest

from sim.placed.board import Wire, verilog_of
from sim.placed.netlist import Cell, Placed, UnknownCell, read_placed

PLAIN = {"PIN_TYPE": "011001"}


def netlist(**changes):
    """A flip-flop between two pads, clocked by a PLL through a global buffer."""
    flop = {"LUT_INIT": "1010101010101010", "DFF_ENABLE": "1"}
    cells = [
        Cell(name="in", kind="SB_IO", parameters={"PIN_TYPE": "000001"},
             pins={"PACKAGE_PIN": 0, "D_IN_0": 10}),
        Cell(name="out", kind="SB_IO", parameters=PLAIN | changes,
             pins={"PACKAGE_PIN": 1, "D_OUT_0": 11}),
        Cell(name="pll", kind="ICESTORM_PLL", parameters={}, pins={"PLLOUT_A": 12, "LOCK": 13}),
        Cell(name="gb", kind="SB_GB", parameters={},
             pins={"USER_SIGNAL_TO_GLOBAL_BUFFER": 12, "GLOBAL_BUFFER_OUTPUT": 14}),
        Cell(name="flop", kind="ICESTORM_LC", parameters=flop,
             pins={"I0": 10, "CLK": 14, "SR": 13, "O": 11})]
    return Placed(cells=tuple(cells), ports={"rx__io": 0, "tx__io": 1})


def text(placed, inverted=False):
    return verilog_of(placed, "ice40", {"rx": Wire(port="rx__io", inverted=inverted)},
                      {"tx": Wire(port="tx__io", inverted=inverted), "done": None})


def test_wires_clock_and_reset():
    found = text(netlist()).splitlines()
    assert found[0] == "module top(input clk, input rst, input rx, output tx, output done);"
    assert "  assign tx = n11;" in found and "  assign done = 1'b0;" in found
    assert "  always @(posedge clk)" in found and "    if ((~rst)) begin" in found
    assert "      n11 <= rx;" in found


def test_inverted_wires():
    found = text(netlist(), inverted=True).splitlines()
    assert "  assign tx = ~n11;" in found and "      n11 <= (~rx);" in found


def test_pads_with_registers_are_refused():
    with pytest.raises(UnknownCell, match=r"^out is a pad of type 010001, of which there is no"):
        text(netlist(PIN_TYPE="010001"))


def test_reads_what_nextpnr_writes(tmp_path):
    cell = {"type": "SB_IO", "parameters": PLAIN, "connections": {"PACKAGE_PIN": [3], "D_IN_0": []}}
    (tmp_path / "placed.json").write_text(json.dumps({"modules": {"top": {
        "cells": {"pad": cell}, "ports": {"rx": {"bits": [3]}}}}}))
    placed = read_placed(tmp_path / "placed.json")
    assert placed.cells == (Cell(name="pad", kind="SB_IO", parameters=PLAIN,
                                 pins={"PACKAGE_PIN": 3}),)
    assert placed.ports == {"rx": 3} and [*placed.of("SB_GB")] == []
