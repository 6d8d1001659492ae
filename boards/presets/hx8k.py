"""iCE40-HX8K breakout board by Lattice: an iCE40HX8K, 16 KiB of block RAM, an FTDI for UART."""

from boards.board import Board
from boards.builds import hx8k_build

__all__ = ["BOARDS"]

BOARDS = (
    Board(name="hx8k", title="iCE40-HX8K breakout board", device="hx8k",
          platform="ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform", mhz=48, params=hx8k_build(),
          baud=3_000_000, seed=2, options=("--placer", "static"),
          flash=("--board", "ice40_generic"),
          note="its jumpers say whether the flash or the FPGA is loaded; 4 KiB hold layers, not "
               "networks"),
)
