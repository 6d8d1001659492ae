"""The register map and the windows of memory, as data."""

import enum

__all__ = ["ADDRESS_BITS", "ID", "OFFSET_BITS", "Error", "Register", "Window"]

OFFSET_BITS = 20
ADDRESS_BITS = OFFSET_BITS + 3

#: What the register ``ID`` reads: "SYST".
ID = 0x53595354


class Window(enum.IntEnum):
    """Upper three bits of an address; the rest counts words of 32 bits within the window.

    A word of the memory behind a window takes as many words of 32 bits as the next power of two
    holds it, the low bits first; the last of them writes it.
    """

    REGISTERS = 0
    PROGRAM = 1      #: Descriptors, one after the other.
    WEIGHTS = 2      #: Rows of a byte for each column.
    PARAMS = 3       #: One :class:`rtl.layouts.ChannelParams` for each channel.
    ACTIVATIONS = 4  #: Words of tensors; can be read.
    CYCLES = 5       #: Cycles of each layer of the last run, by its index; read only.


class Register(enum.IntEnum):
    """Offsets in the window of registers."""

    ID = 0
    VERSION = 1      #: Major, minor and patch, a byte each.
    SHAPE = 2        #: Rows, columns, lanes, word bytes: a byte each, the first in the low bits.
    GO = 3           #: Write anything to run the program from its start.
    STATUS = 4       #: Bit 0: running. Bits 8 to 15: an :class:`Error`. From 16 on: the layer.
    CYCLES = 5       #: From go to the end of the last run.


class Error(enum.IntEnum):
    """Why a run stopped."""

    NONE = 0
    KIND = 1         #: A descriptor of no known kind.
    STALL = 2        #: Nothing moved for :data:`rtl.accelerator.sequencer.PATIENCE` cycles.
    PROGRAM = 3      #: The program went past the end of its memory.
