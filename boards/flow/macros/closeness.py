"""How much the macros of a netlist want to be near each other."""

from collections import defaultdict

from boards.flow.macros.sites import MACROS
from boards.flow.netlist import Cell, Module

__all__ = ["closeness"]

#: Ports that say when, and not what: their nets run all over the chip anyway.
CONTROL = ("CLK", "CE", "LSR", "RST", "OCE", "WE")
#: Nets of more pins than that are not followed, nor are walks after so many steps, or when less
#: than so much is left of them.
PINS, STEPS, LEAST = 40, 8, 0.002


def closeness(module: Module) -> dict[tuple[str, str], float]:
    """Weights of pairs of macros of a flat ``module`` of Yosys' netlist, by their names in order.

    From each pin of each macro goes a walk along nets, in either direction: at a net and at a cell
    it parts into all pins and nets but that by which it came, and ends at another macro. A pair
    weighs what arrives: a wire between two macros 1, one through logic less, with what else there
    is to go to.
    """
    cells = module["cells"]
    macros = {name for name, cell in cells.items() if cell["type"] in MACROS}
    nets = {name: _nets(cell) for name, cell in cells.items()}
    pins: defaultdict[int, list[str]] = defaultdict(list)
    for name, bits in nets.items():
        for bit in bits:
            pins[bit].append(name)
    weights: defaultdict[tuple[str, str], float] = defaultdict(float)
    for macro in sorted(macros):
        front: dict[tuple[str, int], float] = dict.fromkeys(
            ((macro, bit) for bit in nets[macro]), 1.0)
        for _ in range(STEPS):
            reached: defaultdict[tuple[str, int], float] = defaultdict(float)
            for (name, bit), share in front.items():
                share /= max(len(pins[bit]) - 1, 1)
                if share < LEAST or len(pins[bit]) > PINS:
                    continue
                for other in pins[bit]:
                    if other not in macros:
                        reached[other, bit] += share if other != name else 0
                    elif other != macro:
                        weights[min(macro, other), max(macro, other)] += share
            front = defaultdict(float)
            for (name, bit), share in reached.items():
                share /= max(len(nets[name]) - 1, 1)
                if share >= LEAST:
                    for each in nets[name]:
                        if each != bit:
                            front[name, each] += share
    return dict(weights)


def _nets(cell: Cell) -> list[int]:
    """Nets that carry data to or from a cell, each once."""
    return list(dict.fromkeys(
        bit for port, bits in cell["connections"].items() if not port.startswith(CONTROL)
        for bit in bits if isinstance(bit, int)))
