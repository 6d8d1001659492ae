"""SDRAM beside the FPGA: the chips, and their controller."""

from rtl.memory.sdram.chip import CHIPS, SdramChip, chip_of
from rtl.memory.sdram.controller import Sdram, burst_of, sdram_pins

__all__ = ["CHIPS", "Sdram", "SdramChip", "burst_of", "chip_of", "sdram_pins"]
