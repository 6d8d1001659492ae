"""ULX3S by Radiona: an LFE5U of four sizes, 32 MB of SDRAM, an FTDI for UART and JTAG."""

from typing import Any

from boards.board import Board
from boards.builds import lfe5u_25_build, lfe5u_45_build, lfe5u_85_build
from rtl.accelerator import AcceleratorParams
from rtl.memory.sdram import CHIPS

__all__ = ["BOARDS"]


def _board(size: int, mhz: float, params: AcceleratorParams, variant: str = "",
           **options: Any) -> Board:
    # Boards came with this chip and with AS4C32M16SB; both suit what is declared here.
    title = f"ULX3S with an LFE5U-{size}F"
    return Board(
        name=f"ulx3s-{size}f{variant}", title=f"{title}{', weights in SDRAM' * bool(variant)}",
        device=f"lfe5u-{size}f", platform=f"ulx3s:ULX3S_{size}F_Platform", mhz=mhz, params=params,
        baud=3_000_000, sdram=CHIPS["IS42S16160G"], image_at=0x200000,
        image_pins=(("cs", "R2"), ("copi", "W2"), ("cipo", "V2"), ("wp", "Y2"), ("hold", "W1")),
        flash=("--board", "ulx3s"), **options)


BOARDS = (
    _board(12, 100, lfe5u_25_build(sdram_bits=16)),
    _board(25, 100, lfe5u_25_build(sdram_bits=16)),
    _board(45, 90, lfe5u_45_build(), options=("--placer", "static")),
    _board(85, 90, lfe5u_85_build(), options=("--placer", "static"), macros=True, seed=3),
    # Slower, but with room for networks whose weights do not fit on the chip.
    _board(45, 90, lfe5u_45_build(sdram_bits=16), "-sdram"),
    _board(85, 80, lfe5u_45_build(sdram_bits=16), "-sdram"),
)
