"""What frames say, as data: gateware, driver and documentation derive from it."""

import enum

from amaranth.lib import data

__all__ = ["HEADER", "INFO", "Answer", "Kind", "RING", "Status", "VERSION", "WORDS"]

#: Of the protocol; the device tells it to ``HELLO``.
VERSION = 1
#: Words of 32 bits in a frame at the most, so that a frame with all its bytes stays below 254.
WORDS = 60
#: Bytes of frames that the device holds back while it is busy; each has one byte of its own.
RING = 512
#: Bytes of a request before its data: kind, sequence number, address.
HEADER = 5
#: What the device says of the link after the nonce of ``HELLO``.
INFO = VERSION | WORDS << 8 | RING << 16


class Kind(enum.IntEnum):
    """First byte of a request."""

    HELLO = 0     #: Begins a conversation: echoes a word, adds :data:`INFO`.
    WRITE = 1     #: Words of data to ascending addresses.
    READ = 2      #: As many words as a byte says, from ascending addresses.
    WAIT = 3      #: Answered when nothing runs.
    ABORT = 0x80  #: Resets all but the receiver, whatever waits; then as ``HELLO``.


class Status(enum.IntEnum):
    """Second byte of an answer."""

    OK = 0
    GAP = 1       #: A request before this one is missing: nothing was done.
    CLOSED = 2    #: No ``HELLO`` since the reset: nothing was done.
    REFUSED = 3   #: No such kind: nothing was done.


#: A byte of an answer on its way to the sender.
Answer = data.StructLayout({"byte": 8, "last": 1})
