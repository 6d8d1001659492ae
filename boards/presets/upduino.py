"""UPduino v3 by tinyVision: an iCE40UP5K with 128 KiB of single-port RAM, an FTDI for its flash."""

from boards.board import Board
from boards.builds import up5k_build

__all__ = ["BOARDS"]

BOARDS = (
    Board(name="upduino", title="UPduino v3", device="up5k",
          platform="upduino_v3:UpduinoV3Platform", clock="clk12", mhz=24,
          params=up5k_build(), led=False, pins=("j", 0, "7", "8"),
          flash=("--board", "ice40_generic", "--cable", "ft232"), volatile=False,
          note="bridge the jumper OSC: the clock comes from the oscillator of 12 MHz. Wire an "
               "adapter of 3.3 V: its TX to pin 23, its RX to pin 25"),
)
