"""icepi-zero 1.3: an LFE5U-25F in the shape of a Raspberry Pi Zero, with SDRAM and an FTDI."""

from boards.board import Board
from boards.builds import lfe5u_25_build
from rtl.memory.sdram import CHIPS

__all__ = ["BOARDS"]

BOARDS = (
    Board(
        name="icepi-zero", title="icepi-zero 1.3", device="lfe5u-25f",
        platform="icepi_zero:IcepiZero1_3Platform", mhz=90,
        params=lfe5u_25_build(sdram_bits=16), sdram=CHIPS["W9825G6KH"], baud=3_000_000,
        flash=("--board", "icepi-zero")),
)
