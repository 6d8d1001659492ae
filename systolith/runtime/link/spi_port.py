"""SPI buses of Linux as pipes."""

import time
from collections.abc import Iterable
from typing import Protocol

from systolith.runtime.link.pipe import LinkError, Pipe

__all__ = ["Bus", "PREFIX", "SpiPipe", "open_bus"]

#: How ports are called that are buses: ``spi:BUS.DEVICE``.
PREFIX = "spi:"
#: Hz of the bus: at most an eighth of the board's clock.
FREQUENCY = 2_000_000
#: Bytes of a look for answers, and of the longest transfer that drivers of Linux take.
LOOK, MOST = 64, 4096
#: Seconds between looks while nothing comes.
PAUSE = 0.0005


class Bus(Protocol):
    """What is used of a :class:`spidev.SpiDev`."""

    def xfer2(self, data: list[int], /) -> Iterable[int]:
        """Send bytes, and give as many that came meanwhile."""

    def close(self) -> None:
        """Give the bus back."""


def open_bus(port: str, frequency: int = FREQUENCY) -> Bus:
    """The bus of ``spi:BUS.DEVICE``, in mode 0.

    Raises :exc:`~systolith.runtime.link.LinkError` if there is none, or spidev is not installed.
    """
    numbers = port.removeprefix(PREFIX).split(".")
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise LinkError(f"{port}: a bus is spi:BUS.DEVICE, such as spi:0.0")
    try:
        from spidev import SpiDev
    except ImportError as error:
        raise LinkError(f"{port}: the package spidev is missing; install it: "
                        "pip install spidev") from error
    bus = SpiDev()
    try:
        bus.open(*map(int, numbers))
        bus.mode, bus.max_speed_hz = 0, frequency
    except OSError as error:
        raise LinkError(f"{port}: the bus cannot be opened ({error.strerror}); is SPI switched "
                        "on, and may you use it?") from error
    return bus


class SpiPipe(Pipe):
    """A board with the SPI link at the other end of a bus, which this end clocks.

    Each byte sent brings one back; where this end has nothing to say it sends zeros, which end
    frames and mean nothing else.

    Parameters
    ----------
    bus : :class:`Bus`
    """

    def __init__(self, bus: Bus, name: str = "SPI") -> None:
        self.bus, self.name = bus, name
        self._came, self._inside = bytearray(), False

    def write(self, data: bytes) -> None:
        for first in range(0, len(data), MOST):
            self._transfer(data[first:first + MOST])

    def read(self, timeout: float) -> bytes:
        until = self.now() + timeout
        while not self._came:
            self._transfer(bytes(LOOK))
            if self._came or self.now() >= until:
                break
            time.sleep(PAUSE)
        data = bytes(self._came)
        self._came.clear()
        return data

    def _transfer(self, data: bytes) -> None:
        try:
            came = bytes(self.bus.xfer2(list(data)))
        except OSError as error:
            raise LinkError(f"{self.name}: the bus is gone ({error})") from error
        if any(came) or self._inside:  # the zero that ends a frame counts
            self._came += came
        self._inside = came[-1] != 0

    def now(self) -> float:
        return time.monotonic()

    def discard(self) -> None:
        self._came.clear()
        self._inside = False

    def close(self) -> None:
        self.bus.close()
