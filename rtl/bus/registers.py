"""What a bus can access, as data: the registers of the streams, and the accelerator's windows."""

from amaranth import *
from amaranth.lib import data

from rtl.accelerator.control.host_port import LAYERS, chunks_of
from rtl.accelerator.memories import memories_of
from rtl.accelerator.registers import (
    ADDRESS_BITS,
    FIRST_PARAMETER,
    PARAMETERS,
    Described,
    Window,
)

__all__ = ["AT_ANY_TIME", "COUNT_BITS", "STREAMS", "Command", "Request", "Response",
           "StreamRegister", "window_words"]

#: Upper three bits of the addresses of :class:`StreamRegister`, beyond every :class:`Window`.
STREAMS = 7

#: Windows that can be accessed while a network runs.
AT_ANY_TIME = (Window.REGISTERS, Window.ACTIVATIONS)

#: Width of a number of words, of which a window has up to 2 ** 20.
COUNT_BITS = 21

#: As ``commands`` of :class:`~rtl.accelerator.Accelerator` takes them.
Command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})

#: An access by the bus; ``whole`` tells that a write is to all four bytes.
Request = data.StructLayout({"write": 1, "whole": 1, "address": ADDRESS_BITS, "data": 32})

#: The result of an access.
Response = data.StructLayout({"error": 1, "data": 32})


class StreamRegister(Described):
    """Window 7, from ``0x700000`` on, of an accelerator on a bus: words of 32 bits between streams
    and memories.

    An address is one of those above, and counts up; a count is the number of words left. A transfer
    begins when its count is written, and is refused if it is not within one memory, or if one is
    under way. While a network runs, words can enter the activation memory only, such as the next
    input, and none leave: a result that is requested then leaves when the run has ended. While
    words are to come in, the bus cannot write to the accelerator, as parts of wide words would mix.
    """

    IN_ADDRESS = 0, "Where the next word of `s_axis` is written."
    IN_COUNT = 1, "Words to take from `s_axis`. Write 0 to abort the transfer."
    OUT_ADDRESS = 2, "Where the next word for `m_axis` is read."
    OUT_COUNT = 3, "Words to send on `m_axis`, `tlast` with the last. Write 0 to end with the next."
    INTERRUPT = 4, "Bit 0: a run has ended, as on `irq`. Write anything to clear it."


def window_words(params):
    """Numbers of words of each window that can be read, and that can be written."""
    registers = FIRST_PARAMETER + len(PARAMETERS)
    words = {window: chunks_of(width) * depth
             for window, (width, depth) in memories_of(params).items()}
    return {Window.REGISTERS: (registers, registers), Window.CYCLES: (LAYERS, 0),
            **{window: (count if window == Window.ACTIVATIONS else 0, count)
               for window, count in words.items()}}
