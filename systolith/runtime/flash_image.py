"""A program as an image for the flash of a board, from which the gateware loads it."""

import numpy as np

from rtl.accelerator.registers import OFFSET_BITS, Register, Window
from rtl.link.protocol import WORDS, Kind
from systolith.compiler import Program
from systolith.runtime.device import digest_of
from systolith.runtime.driver import AcceleratorDriver
from systolith.runtime.link.frames import frame
from systolith.runtime.transfers import Write

__all__ = ["program_image"]


def program_image(program: Program) -> bytes:
    """Bytes for a program: frames that load it, as :class:`rtl.boot.Boot` gives them to the link.

    The tag by which the host finds it there comes last: so it is written only if all before it is
    whole.
    """
    writes = AcceleratorDriver.writes_of(program)
    tag = Write((Window.REGISTERS << OFFSET_BITS) + Register.TAG,
                np.array([digest_of(writes)], np.uint32))
    requests = [(Kind.HELLO, 0, bytes(4))]
    for address, words in (*writes, tag):
        requests += [(Kind.WRITE, int(address) + first,
                      np.asarray(words[first:first + WORDS], "<u4").tobytes())
                     for first in range(0, len(words), WORDS)]
    return b"".join(
        frame(bytes([kind, number % 256]) + address.to_bytes(3, "little") + data)
        for number, (kind, address, data) in enumerate(requests)) + b"\0"
