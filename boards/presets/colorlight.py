"""Colorlight 5A-75B (version 7.0), a receiver card for LED walls: an LFE5U-25F, 4 MB of SDRAM."""

from boards.board import Board
from boards.builds import lfe5u_25_build
from rtl.memory.sdram import CHIPS

__all__ = ["BOARDS"]

BOARDS = (
    Board(
        name="colorlight-5a-75b", title="Colorlight 5A-75B v7.0", device="lfe5u-25f",
        platform="colorlight_5a75b_r7_0:Colorlight_5A75B_R70Platform", mhz=90,
        params=lfe5u_25_build(sdram_bits=32), sdram=CHIPS["2 x M12L16161A"], led=False,
        flash=("--board", "colorlight"),
        note="wire an adapter of 3.3 V to J19: its RX to DATA_LED-, its TX to KEY+; and a JTAG "
             "cable to J27 to J34"),
)
