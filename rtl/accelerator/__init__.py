"""The accelerator: memories, sequencer, and all units that a network needs."""

from rtl.accelerator.accelerator import Accelerator
from rtl.accelerator.control.descriptor import Kind, descriptor_of, descriptor_words
from rtl.accelerator.params import AcceleratorParams, weight_room
from rtl.accelerator.with_sdram import SdramAccelerator

__all__ = ["Accelerator", "AcceleratorParams", "Kind", "SdramAccelerator", "descriptor_of",
           "descriptor_words", "weight_room"]
