"""The link: frames over any byte stream, and the commands in them. See ``docs/link.md``."""

from rtl.link.link import Link
from rtl.link.protocol import Kind, Status
from rtl.link.spi import SpiTarget
from rtl.link.uart import UartRx, UartTx, divisor_of

__all__ = ["Kind", "Link", "SpiTarget", "Status", "UartRx", "UartTx", "divisor_of"]
