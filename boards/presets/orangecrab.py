"""OrangeCrab r0.2 by Good Stuff Department: an LFE5U-25F or 85F in the shape of a Feather."""

from typing import Any

from boards.board import Board
from boards.builds import lfe5u_25_build, lfe5u_85_build
from rtl.accelerator import AcceleratorParams

__all__ = ["BOARDS"]


def _board(size: int, mhz: float, params: AcceleratorParams, **options: Any) -> Board:
    return Board(
        name=f"orangecrab-{size}f", title=f"OrangeCrab r0.2 with an LFE5U-{size}F",
        device=f"lfe5u-{size}f", platform=f"orangecrab_r0_2:OrangeCrabR0_2_{size}FPlatform",
        mhz=mhz, params=params, led=False, pins=("io", 0, "0", "1"),
        flash=("--board", "orangeCrab"), volatile=False,
        note="its USB has no UART: wire an adapter of 3.3 V to the header, its TX to pin 0, its RX "
             "to pin 1", **options)


BOARDS = (
    _board(25, 120, lfe5u_25_build()),
    _board(85, 90, lfe5u_85_build(rounding="both"), options=("--placer", "static"), macros=True,
           spread_enables=True),
)
