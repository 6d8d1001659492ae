"""UPduino v3 by tinyVision: an iCE40UP5K with 128 KiB of single-port RAM, an FTDI for its flash."""

from boards.board import Board
from boards.builds import up5k_build

__all__ = ["BOARDS"]

BOARDS = (
    Board(name="upduino", title="UPduino v3", device="up5k",
          platform="upduino_v3:UpduinoV3Platform", clock="clk12", mhz=24,
          params=up5k_build(), shared_bytes=131072,
          note="bridge the jumper OSC: the clock comes from the oscillator of 12 MHz"),
)
