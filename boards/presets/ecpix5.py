"""ECPIX-5 by LambdaConcept: an LFE5UM5G-45F or 85F, with an FTDI for UART and JTAG."""

from typing import Any

from boards.board import Board
from boards.builds import lfe5u_45_build, lfe5u_85_build
from rtl.accelerator import AcceleratorParams

__all__ = ["BOARDS"]


def _board(size: int, mhz: float, params: AcceleratorParams, **options: Any) -> Board:
    return Board(
        name=f"ecpix5-{size}f", title=f"ECPIX-5 with an LFE5UM5G-{size}F",
        device=f"lfe5u-{size}f", platform=f"ecpix5:ECPIX5{size}Platform", mhz=mhz, params=params,
        baud=3_000_000, led=False, flash=("--board", "ecpix5"), **options)


BOARDS = (
    _board(45, 90, lfe5u_45_build(rounding="both"), options=("--placer", "static")),
    _board(85, 120, lfe5u_85_build(rows=10), options=("--placer", "static"), macros=True,
           spread_enables=True),
)
