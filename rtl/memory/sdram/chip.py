"""SDRAM chips as their data sheets describe them."""

from dataclasses import dataclass

from rtl.validate import integer, number, of_type, one_of

__all__ = ["CHIPS", "SdramChip", "chip_of"]


@dataclass(frozen=True, kw_only=True)
class SdramChip:
    """A synchronous DRAM (single data rate): its size, and times in ns.

    Parameters
    ----------
    name : :class:`str`
    data_bits, column_bits, row_bits, bank_bits : :class:`int`
        With several chips side by side ``data_bits`` are those of all. Fewer columns than there
        are leave some unused.
    cas : :class:`int`
        CAS latency: 2 or 3.
    period : float
        Shortest period of the clock at that latency.
    start : float
        Wait between power-up and the first command.
    refresh : float
        Time between refreshes, on average.
    rcd, rp, ras, rc, rfc, rrd : float
        From a row's activation to its columns; precharge; from activation to precharge; from
        activation to activation; a refresh; from one bank's activation to another's.
    wr, mrd : float
        From the last word written to precharge; setting the mode register. Each is at least two
        clocks.
    """

    name: str
    data_bits: int
    column_bits: int
    row_bits: int
    bank_bits: int
    cas: int = 3
    period: float = 7
    start: float = 200_000
    refresh: float = 64e6 / 8192
    rcd: float = 21
    rp: float = 21
    ras: float = 42
    rc: float = 63
    rfc: float = 63
    rrd: float = 14
    wr: float = 14
    mrd: float = 14

    def __post_init__(self):
        of_type("name", self.name, str, "a string")
        for name, choices in (("data_bits", (8, 16, 32)), ("cas", (2, 3))):
            object.__setattr__(self, name, one_of(name, getattr(self, name), choices))
        for name, low, high in (("column_bits", 8, 10), ("row_bits", 11, 13), ("bank_bits", 1, 2)):
            object.__setattr__(self, name, integer(name, getattr(self, name), low, high))
        number("period", self.period, 1, 100)
        number("refresh", self.refresh, 1000, 1e9)
        for name in ("start", "rcd", "rp", "ras", "rc", "rfc", "rrd", "wr", "mrd"):
            number(name, getattr(self, name), 1, 1e9)

    @property
    def bytes(self):
        """Size of the memory."""
        return self.data_bits // 8 << self.column_bits + self.row_bits + self.bank_bits


# Refs for the times above, which suit all of these chips: Alliance Memory, AS4C32M16SB (ULX3S with
# 64 MB) and AS4C16M16SA, table 16, speed grade -7 (pages 20 and 19); the Winbond parts need two
# clocks for `wr` and `mrd`. Start: 200 us, the longest of them. One with fewer rows (M12L16161A: 2K
# in 32 ms) is refreshed twice as often as necessary.
CHIPS = {chip.name: chip for chip in (
    SdramChip(name="IS42S16160G", data_bits=16, column_bits=9, row_bits=13, bank_bits=2),
    SdramChip(name="W9825G6KH", data_bits=16, column_bits=9, row_bits=13, bank_bits=2),
    SdramChip(name="2 x M12L16161A", data_bits=32, column_bits=8, row_bits=11, bank_bits=1),
)}


def chip_of(data_bits):
    """A chip of that width, where no board names one."""
    return next(chip for chip in CHIPS.values() if chip.data_bits == data_bits)
