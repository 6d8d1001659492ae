"""Which serial ports have a board, and at which baud rate."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from systolith.runtime.device import Device
from systolith.runtime.link import LinkError, NoAnswer, Pipe, SerialPipe
from systolith.runtime.link.serial_port import BAUDS, port_names
from systolith.runtime.link.spi_port import PREFIX, SpiPipe, open_bus

__all__ = ["Found", "open_device", "scan"]

#: Seconds that a board has to answer while its baud rate is looked for.
TIMEOUT = 2.0


def open_device(port: str, baud: int | None = None) -> Device:
    """The :class:`Device` at a serial port, with ``baud`` None at whichever rate it answers, or at
    an SPI bus, ``spi:BUS.DEVICE``.

    Raises :exc:`~systolith.runtime.link.LinkError` if there is none.
    """
    if port.startswith(PREFIX):
        return _over(SpiPipe(open_bus(port), port))
    rates = BAUDS if baud is None else (baud,)
    for rate in rates:
        try:
            return _over(SerialPipe(port, rate))
        except NoAnswer as error:
            last = error
    tried = " and ".join(f"{rate:,}" for rate in rates)
    raise NoAnswer(f"{last} (at {tried} baud)") from last


def _over(pipe: Pipe) -> Device:
    """The :class:`Device` at the other end of ``pipe``, which is closed if there is none."""
    try:
        return Device(pipe, hello_timeout=TIMEOUT)
    except BaseException:
        pipe.close()
        raise


@dataclass(frozen=True, kw_only=True)
class Found:
    """A port, what the system calls it, and what answers there or why nothing does."""

    port: str
    description: str
    board: bool
    text: str


def scan(ports: Sequence[tuple[str, str]] | None = None, baud: int | None = None) -> list[Found]:
    """A :class:`Found` for each of ``ports``: pairs (name, description), or all there are."""
    ports = port_names() if ports is None else ports
    with ThreadPoolExecutor(max(len(ports), 1)) as pool:
        return list(pool.map(lambda port: _look(port[0], port[1], baud), ports))


def _look(port: str, description: str, baud: int | None) -> Found:
    try:
        with open_device(port, baud) as device:
            params, array = device.params, device.params.array
            memories = (f"{params.activation_bytes:,} bytes of activations and weights together"
                        if params.single_memory
                        else f"{params.activation_bytes:,} bytes of activations, "
                        f"{params.weight_bytes:,} of weights")
            return Found(
                port=port, description=description, board=True,
                text=f"Systolith {device.version}, {array.rows} x {array.cols} products, "
                     f"{memories}")
    except LinkError as error:
        return Found(port=port, description=description, board=False,
                     text=str(error).removeprefix(f"{port}: "))
