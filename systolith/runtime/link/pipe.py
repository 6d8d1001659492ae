from abc import ABC, abstractmethod
from typing import Self

__all__ = ["LinkError", "Pipe"]


class LinkError(RuntimeError):
    """The link to a board failed; the message says what to do."""


class Pipe(ABC):
    """Bytes to a board and back, in order; some may be lost or altered on the way.

    Attributes
    ----------
    name : :class:`str`
        What messages call it.
    latency : :class:`str`
        What to do about an FTDI chip that holds answers back; empty if all is well.
    """

    name = "pipe"
    latency = ""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send ``data``; returns once it is on its way."""

    @abstractmethod
    def read(self, timeout: float) -> bytes:
        """What has come: at least a byte, or none once ``timeout`` seconds have passed."""

    @abstractmethod
    def now(self) -> float:
        """Seconds, of the clock that ``timeout`` means."""

    @abstractmethod
    def discard(self) -> None:
        """Drop what has come so far."""

    @abstractmethod
    def close(self) -> None:
        """Give the pipe back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
