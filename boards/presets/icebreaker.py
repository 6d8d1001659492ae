"""iCEBreaker by 1BitSquared: an iCE40UP5K with 128 KiB of single-port RAM, an FTDI for UART."""

from boards.board import Board
from boards.builds import up5k_build

__all__ = ["BOARDS"]

BOARDS = (
    Board(name="icebreaker", title="iCEBreaker v1.0", device="up5k",
          platform="icebreaker:ICEBreakerPlatform", mhz=24, params=up5k_build(),
          baud=3_000_000, pad=True, seed=2, options=("--placer", "static"),
          image_at=0x20000, flash=("--board", "ice40_generic"), volatile=False),
)
