"""A program from the board's serial flash, when the power comes."""

from rtl.boot.boot import MAGIC, Boot
from rtl.boot.reader import FlashReader, flash_pins

__all__ = ["MAGIC", "Boot", "FlashReader", "flash_pins"]
