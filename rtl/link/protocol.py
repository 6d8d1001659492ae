"""The protocol in frames, as data, from which gateware, driver and documentation derive."""

import enum

from amaranth.lib import data

__all__ = ["HEADER", "INFO", "Answer", "Kind", "RING", "Status", "VERSION", "WORDS"]

#: Version of the protocol, which the device reports in its answer to ``HELLO``.
VERSION = 1
#: Maximum number of words of 32 bits in a frame, so that a frame in all is shorter than 254 bytes.
WORDS = 60
#: Bytes of frames that the device buffers while it is busy; each frame takes one byte more.
RING = 512
#: Bytes of a request before its data: kind, sequence number, address.
HEADER = 5
#: The link's parameters in the answer to ``HELLO``, after the nonce.
INFO = VERSION | WORDS << 8 | RING << 16


class Kind(enum.IntEnum):
    """First byte of a request."""

    HELLO = 0     #: Begins a session: echoes a word, and adds :data:`INFO`.
    WRITE = 1     #: Words of data to ascending addresses.
    READ = 2      #: Words from ascending addresses; a byte tells how many.
    WAIT = 3      #: Answered when nothing runs.
    ABORT = 0x80  #: Resets all but the receiver, whatever is pending; then as ``HELLO``.


class Status(enum.IntEnum):
    """Second byte of an answer."""

    OK = 0
    GAP = 1       #: A request before this one is missing: nothing was done.
    CLOSED = 2    #: No ``HELLO`` since the reset: nothing was done.
    REFUSED = 3   #: Unknown kind: nothing was done.


#: A byte of an answer, for the sender.
Answer = data.StructLayout({"byte": 8, "last": 1})
