"""An accelerator in simulation that counts what its commands would be on the wire."""

import numpy as np

from rtl.link.protocol import WORDS
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.runtime.transfers import Addresses, Pending, Words

__all__ = ["CountedAccelerator", "uart_seconds"]

#: Bytes of a request and of an answer besides their words: head, CRC, the code of COBS, delimiter.
REQUEST, ANSWER = 5 + 4 + 2, 2 + 4 + 2


class CountedAccelerator(SimulatedAccelerator):
    """Counts as the link of :mod:`systolith.runtime.link` would send it, without losses.

    Attributes
    ----------
    bytes_out, bytes_in : :class:`int`
        To the board and from it, since :meth:`clear`.
    """

    bytes_out = bytes_in = 0

    def clear(self) -> None:
        self.bytes_out = self.bytes_in = 0

    def post_write(self, address: int, words: Words) -> None:
        frames = -(-len(words) // WORDS)
        self.bytes_out += frames * REQUEST + 4 * len(words)
        self.bytes_in += frames * ANSWER
        super().post_write(address, words)

    def post_read(self, addresses: Addresses) -> Pending[Words]:
        ends = np.flatnonzero(np.diff(addresses) != 1) + 1
        frames = sum(-(-len(run) // WORDS) for run in np.split(np.asarray(addresses), ends))
        self.bytes_out += frames * (REQUEST + 1)
        self.bytes_in += frames * ANSWER + 4 * len(addresses)
        return super().post_read(addresses)

    def post_wait(self) -> None:
        counted = self.bytes_out + REQUEST, self.bytes_in + ANSWER
        super().post_wait()  # in simulation, a read
        self.bytes_out, self.bytes_in = counted


def uart_seconds(bytes_out: int, bytes_in: int, baud: int) -> float:
    """What a UART takes, whose directions work at the same time and send 10 bits a byte."""
    return max(bytes_out, bytes_in) * 10 / baud
