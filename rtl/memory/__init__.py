"""Memories of the data path."""

from rtl.memory.block_ram import BlockRam

__all__ = ["BlockRam"]
