"""What nextpnr placed and routed: cells of the device, and the nets between them."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cell", "Placed", "UnknownCell", "read_placed"]


class UnknownCell(Exception):
    """A cell, or a way to use one, that there is no model of."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """``kind`` is the device's; ``pins`` has the net of each pin that is connected, by its name."""

    name: str
    kind: str
    parameters: Mapping[str, str]
    pins: Mapping[str, int]

    def number(self, name: str, default: int = 0) -> int:
        """A parameter of bits."""
        text = self.parameters.get(name, "").strip()
        return int(text, 2) if text else default

    def option(self, name: str, default: str = "") -> str:
        """A parameter of words."""
        return self.parameters.get(name, default).strip()


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Cells, and the net of each pad of the package by the name of the port."""

    cells: tuple[Cell, ...]
    ports: Mapping[str, int]

    def of(self, *kinds: str) -> Iterator[Cell]:
        return (cell for cell in self.cells if cell.kind in kinds)


def read_placed(path: str | os.PathLike[str]) -> Placed:
    """The netlist in a file that nextpnr's ``--write`` made."""
    top = json.loads(Path(path).read_text())["modules"]["top"]
    cells = [Cell(name=name, kind=cell["type"], parameters=cell["parameters"],
                  pins={pin: bits[0] for pin, bits in cell["connections"].items() if bits})
             for name, cell in top["cells"].items()]
    ports = {name: port["bits"][0] for name, port in top["ports"].items()}
    return Placed(cells=tuple(cells), ports=ports)
