"""Netlists as Yosys and nextpnr write them in JSON; what is read of them."""

from typing import TypedDict

__all__ = ["Cell", "Design", "Module"]


class Cell(TypedDict):
    """A cell; ``connections`` has the nets of each port, by number, or a constant as text."""

    type: str
    parameters: dict[str, str]
    attributes: dict[str, str]
    connections: dict[str, list[int | str]]


class _Net(TypedDict):
    bits: list[int | str]


class Module(TypedDict):
    """A module: its cells, ports and nets by name."""

    cells: dict[str, Cell]
    ports: dict[str, _Net]
    netnames: dict[str, _Net]


class Design(TypedDict):
    """Modules by name."""

    modules: dict[str, Module]
