"""The register map, the windows of memory and the error codes, as data."""

import enum
from typing import Self

__all__ = ["ADDRESS_BITS", "FIRST_PARAMETER", "ID", "OFFSET_BITS", "PARAMETERS", "Described",
           "Error", "Flag", "Register", "Window"]

OFFSET_BITS = 20
ADDRESS_BITS = OFFSET_BITS + 3

#: What the register ``ID`` reads: "SYST".
ID = 0x53595354


class Described(enum.IntEnum):
    """Members are numbers; each has a ``text`` that describes it."""

    text: str

    # A member is looked up by its number alone.
    def __new__(cls, value: int, text: str = "") -> Self:
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member


class Window(Described):
    """Upper three bits of an address; the rest counts words of 32 bits within the window.

    A word of the memory behind a window takes a power of two of words of 32 bits, as few as hold
    it, the low bits first; a write to the last of them writes it.
    """

    REGISTERS = 0, "The registers below."
    PROGRAM = 1, "Descriptors, one after the other."
    WEIGHTS = 2, "Rows of a byte for each column."
    PARAMS = 3, "Parameters of one output channel each."
    ACTIVATIONS = 4, "Words of tensors; can be read."
    CYCLES = 5, "Cycles of each layer of the last run, by its index; read only."


class Register(Described):
    """Offsets in the window of registers. All others read 0."""

    ID = 0, f"Reads {ID:#010x}."
    VERSION = 1, "Major, minor and patch, a byte each, the first in the low bits."
    FLAGS = 2, "A bit for each unit that this build has."
    GO = 3, "Write the word of the program to begin at: starts a run, unless one is under way."
    STATUS = 4, "Bit 0: running. Bits 8 to 15: an error. From 16 on: the layer."
    CYCLES = 5, "From go to the end of the last run, or to now."
    STOP = 6, "Write anything to abort the run that is under way."
    TAG = 7, "Reads what was written last, 0 after a reset: tells a host what it loaded before."
    FINGERPRINT = 8, ("Reads a digest of this map (the upper 16 bits), and of the descriptors and "
                      "memories of this build. After another number was written, `GO` and `TAG` "
                      "take nothing, and `STATUS` reads the error FOREIGN, until this one is.")


class Flag(Described):
    """Bits of the register ``FLAGS``."""

    POOLING = 0, "Means and maxima of windows, copies and fills."
    ADDITION = 1, "Sums of two tensors."
    FIR = 2, "Depthwise layers as filters: `fir_rows` is not 0."
    TFLM = 3, "Rounding as TensorFlow Lite Micro."
    FLOAT32 = 4, "Rounding by float32, as LiteRT and onnxruntime."
    FUSED = 5, "Sums that take place in the convolution before them."


#: Parameters of the build, a register each from ``FIRST_PARAMETER`` on, in this order.
FIRST_PARAMETER = 16
PARAMETERS = {
    "rows": "Taps of a tile.",
    "cols": "Filters of a tile.",
    "fir_rows": "Rows that can form a depthwise filter.",
    "depth": "Maximum number of pixels of a pass.",
    "drain_lanes": "Channels that are requantised at once.",
    "pixel_lanes": "Lines of output that are computed at a time.",
    "requantize": "Cycles of a requantisation.",
    "output_register": "1 if memories have a second register.",
    "buffer_bytes": "Size of the line buffer.",
    "max_lines": "Maximum height of an image.",
    "activation_bytes": "Memory for tensors.",
    "weight_bytes": "Memory for weights.",
    "channels": "Memory for parameters, in output channels.",
    "program_words": "Memory for descriptors, in words of 32 bits.",
    "single_memory": "1 if everything lies in the memory for tensors, which each window shows.",
    "prefetch": "1 if a descriptor is loaded while the layer before it runs.",
    "stall_timeout": "Cycles without any transfer after which a layer is stuck.",
    "layer_timeout": "Cycles that a layer may take.",
    "shared_agu": "1 if all loop nests share one address-generation unit.",
    "sum_bits": "Width of a sum of products.",
    "sdram_bits": "Data pins of the SDRAM in which weights lie; 0 if they lie on the chip.",
}


class Error(Described):
    """Why a run stopped."""

    NONE = 0, "It has ended, or none has begun."
    KIND = 1, "`kind`: unknown."
    UNIT = 2, "`kind` or `sum`: a unit that this build does not have."
    GO = 3, "The program was to begin beyond the end of its memory."
    PROGRAM = 4, "The program ran past the end of its memory."
    FETCH = 5, "`fetch`: an address outside the activation memory."
    STORE = 6, "`store`: an address outside the activation memory."
    WEIGHTS = 7, "`weights`: an address outside the memory, or rows that the layer did not take."
    PARAMS = 8, "`params`: an address outside the memory, or words that the layer did not take."
    STALL = 9, "No transfer for `stall_timeout` cycles: fields of the layer contradict each other."
    LONG = 10, "A layer took `layer_timeout` cycles: some count in it is wrong."
    STOPPED = 11, "The host aborted it."
    CONV = 12, ("`conv`: as STALL or LONG, before all vectors of a convolution came: it needs "
                "other words than `fetch` delivers, more lines than the buffer holds, or weights "
                "that do not exist.")
    FOREIGN = 13, "The program is for another build, as `FINGERPRINT` was written to say."
