"""Where an ECP5 has its multipliers and block RAMs.

Rows of tiles hold blocks of nine tiles, of four multipliers or block RAMs each; two more columns of
tiles are in the middle of the chip. Coordinates are those of nextpnr 0.11, from Project Trellis.
"""

from dataclasses import dataclass

from boards.devices import Device

__all__ = ["MACROS", "Site", "sites_of"]

MULTIPLIER, RAM = "MULT18X18D", "DP16KD"
#: Types of cells that are placed here.
MACROS = MULTIPLIER, RAM

#: By device: blocks in a row, those left of the middle, and rows of multipliers and of block RAMs.
GRIDS = {
    "lfe5u-12f": (7, 3, (13,), (25, 37)),
    "lfe5u-25f": (7, 3, (13,), (25, 37)),
    "lfe5u-45f": (9, 4, (22, 46), (10, 34, 58)),
    "lfe5u-85f": (13, 7, (10, 34, 58), (22, 46, 70, 82)),
}
PITCH, MIDDLE = 9, 2
#: Column in its block of each site, and what nextpnr calls it.
COLUMNS = {
    MULTIPLIER: ((4, "MULT18_0"), (5, "MULT18_1"), (8, "MULT18_4"), (9, "MULT18_5")),
    RAM: ((4, "EBR0"), (6, "EBR1"), (8, "EBR2"), (10, "EBR3")),
}


@dataclass(frozen=True)
class Site:
    """A place for a macro: its tile, its name there, and the block that it shares."""

    x: int
    y: int
    name: str
    block: tuple[int, int]

    @property
    def bel(self) -> str:
        return f"X{self.x}/Y{self.y}/{self.name}"


def sites_of(device: Device) -> dict[str, list[Site]]:
    """The sites of an ECP5 :class:`~boards.devices.Device`, by the type of cell that they take."""
    blocks, left, *rows = GRIDS[device.name]
    return {kind: [Site(PITCH * block + MIDDLE * (block >= left) + column, y, name, (block, y))
                   for y in ys for block in range(blocks) for column, name in COLUMNS[kind]]
            for kind, ys in zip(MACROS, rows, strict=True)}
