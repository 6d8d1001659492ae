from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import bytes_of
from rtl.memory import BlockRam

__all__ = ["ActivationMemory"]


class ActivationMemory(wiring.Component):
    """Words of int8, written byte by byte or whole, one read and one write a cycle.

    A bank of block RAM for each byte of a word. A word must not be read in the cycle that writes
    it. Read data move with ``read_en``, as those of :class:`BlockRam`.

    Parameters
    ----------
    word_bytes, words : :class:`int`
    output_register : :class:`bool`

    Members
    -------
    write_en : ``In(word_bytes)``
        A bit for each byte.
    write_addr, write_data : ``In(range(words))``, ``In(bytes_of(word_bytes))``
    read_en, read_addr, read_data
    """

    def __init__(self, *, word_bytes, words, output_register=False):
        self.word_bytes, self.words, self.output_register = word_bytes, words, output_register
        self.latency = 1 + output_register
        super().__init__({
            "write_en": In(word_bytes),
            "write_addr": In(range(words)),
            "write_data": In(bytes_of(word_bytes)),
            "read_en": In(1),
            "read_addr": In(range(words)),
            "read_data": Out(bytes_of(word_bytes)),
        })

    def elaborate(self, platform):
        m = Module()
        for index in range(self.word_bytes):
            m.submodules[f"bank_{index}"] = bank = BlockRam(
                width=8, depth=self.words, output_register=self.output_register)
            m.d.comb += [
                bank.write_en.eq(self.write_en[index]),
                bank.write_addr.eq(self.write_addr),
                bank.write_data.eq(self.write_data[index]),
                bank.read_en.eq(self.read_en),
                bank.read_addr.eq(self.read_addr),
                self.read_data[index].eq(bank.read_data),
            ]
        return m
