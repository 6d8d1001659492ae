"""Serial ports as pipes."""

import errno
import time
from pathlib import Path
from typing import TYPE_CHECKING

from systolith.runtime.link.pipe import LinkError, Pipe

if TYPE_CHECKING:
    import serial

__all__ = ["BAUDS", "SerialPipe", "low_latency", "port_names"]

#: What boards are built for, the most likely first.
BAUDS = 3_000_000, 1_000_000
#: Seconds that the operating system may take to accept what is written.
WRITE_TIMEOUT = 5
#: Seconds that one look at a port takes at the most: to tell pyserial another time costs more.
LOOK = 0.01
#: Where Linux tells of serial ports.
SYSTEM = Path("/sys/class/tty")


def port_names() -> list[tuple[str, str]]:
    """Serial ports that there are: (name, description)."""
    from serial.tools.list_ports import comports

    return sorted((port.device, port.description or "") for port in comports())


class SerialPipe(Pipe):
    """A serial port, or a pseudo-terminal, for this program alone."""

    def __init__(self, port: str | Path, baud: int = BAUDS[0]) -> None:
        import serial

        self.name = str(port)
        try:
            self._port = serial.Serial(self.name, baud, timeout=LOOK, write_timeout=WRITE_TIMEOUT,
                                       exclusive=True)
        except (OSError, ValueError) as error:  # pyserial's own are of these
            raise LinkError(f"{self.name}: {_in_words(error, baud)}") from error
        self.latency = low_latency(self._port)

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise LinkError(f"{self.name}: the port takes no more bytes ({error}); was it pulled "
                            "out?") from error

    def read(self, timeout: float) -> bytes:
        until = self.now() + timeout
        try:
            while True:
                waiting = self._port.in_waiting
                data = self._port.read(waiting or 1) if waiting or timeout > 0 else b""
                if data or self.now() >= until:
                    return data
        except OSError as error:
            raise LinkError(f"{self.name}: the port is gone ({error}); was it pulled out?"
                            ) from error

    def now(self) -> float:
        return time.monotonic()

    def discard(self) -> None:
        try:
            self._port.reset_input_buffer()
        except OSError as error:
            raise LinkError(f"{self.name}: the port is gone ({error})") from error

    def close(self) -> None:
        self._port.close()


def _in_words(error: Exception, baud: int) -> str:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            names = ", ".join(name for name, _ in port_names())
            return f"there is no such port; there are {names or 'none'}"
        case errno.EACCES | errno.EPERM:
            return ("you may not open it; join its group (usually: sudo usermod -aG dialout "
                    "$USER, then log in again)")
        case errno.EBUSY | errno.EWOULDBLOCK:
            return "another program has it open"
    if "exclusively lock" in str(error):
        return "another program has it open"
    if isinstance(error, ValueError):
        return f"{baud} baud cannot be set: {error}"
    return f"it cannot be opened as a serial port: {error}"


def low_latency(port: "serial.Serial") -> str:
    """Make an FTDI chip send what it has at once: what to do if that was not possible."""
    timer = SYSTEM / Path(port.name).name / "device" / "latency_timer"
    if not timer.exists():
        return ""
    try:
        port.set_low_latency_mode(True)
    except (OSError, ValueError, NotImplementedError):
        try:
            timer.write_text("1")
        except OSError:
            pass
    milliseconds = int(timer.read_text())
    if milliseconds <= 1:
        return ""
    return (f"{port.name}: the FTDI chip holds each answer back for up to {milliseconds} ms; "
            f"allow less once with: echo 1 | sudo tee {timer}")
