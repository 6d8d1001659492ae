"""A program from the board's serial flash, when the power comes."""

from rtl.boot.boot import Boot, flash_pins

__all__ = ["Boot", "flash_pins"]
