"""Memories, and the ports by which units reach them."""

from rtl.memory.arbiter import Arbiter
from rtl.memory.block_ram import BlockRam
from rtl.memory.on_chip import DualPortMemory, SinglePortMemory
from rtl.memory.port import memory_port
from rtl.memory.reader import Reader

__all__ = ["Arbiter", "BlockRam", "DualPortMemory", "Reader", "SinglePortMemory", "memory_port"]
