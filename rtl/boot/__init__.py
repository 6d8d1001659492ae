"""Boot: a program from the board's serial flash, loaded at power-up."""

from rtl.boot.boot import MAX_OFFSET, Boot, flash_pins

__all__ = ["MAX_OFFSET", "Boot", "flash_pins"]
