"""UPduino v3 by tinyVision: an iCE40UP5K with 128 KiB of single-port RAM, an FTDI for its flash."""

from typing import Any

from boards.board import Board
from boards.builds import up5k_build

__all__ = ["BOARDS"]


def _board(name: str, title: str, note: str, **options: Any) -> Board:
    return Board(
        name=name, title=title, device="up5k", platform="upduino_v3:UpduinoV3Platform",
        clock="clk12", mhz=24, params=up5k_build(), led=False, volatile=False,
        options=("--placer", "static"),
        flash=("--board", "ice40_generic", "--cable", "ft232"), **options,
        note=f"bridge the jumper OSC: the clock comes from the oscillator of 12 MHz. {note}")


BOARDS = (
    _board("upduino", "UPduino v3", pins=("j", 0, "7", "8"),
           note="Wire an adapter of 3.3 V: its TX to pin 23, its RX to pin 25"),
    _board("upduino-spi", "UPduino v3 beside a microcontroller", link="spi", seed=3,
           pins=("j", 0, "7", "8", "9", "10", "11"),
           note="SPI of 3.3 V, mode 0, at most 3 MHz: SCK to pin 23, CS to 25, the controller's "
                "output to 26, its input to 27; pin 32 is high while nothing runs"),
)
