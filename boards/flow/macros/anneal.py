"""Simulated annealing of macros among the sites of a chip."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from boards.flow.macros.sites import MACROS, Site
from boards.flow.netlist import Cell, Module

__all__ = ["anneal"]

#: Moves that are tried for each macro at each of so many temperatures; the last of these as a share
#: of the first one.
MOVES, LEVELS, COLDEST = 80, 60, 0.002
#: The first one, as a share of a macro's wires in a random layout.
HOTTEST = 0.3
#: Of the chip's width, how far a macro moves at the least, and when it has come to that.
NEAR, SETTLED = 10, 0.9
#: Clock enables that the multipliers of a block share, and what one too many costs.
ENABLES, TOO_MANY = 4, 200.0
#: Pins of a clock enable that comes from afar. Where it is critical, too, and leads to two
#: multipliers of a block by the one wire that this has for both, nextpnr's router never ends: it
#: finds each of them another way there, and takes that of the other up again. What that costs.
FAR, TWICE = 500, 1500.0


def anneal(module: Module, weights: Mapping[tuple[str, str], float],
           sites: Mapping[str, Sequence[Site]], seed: int = 1, *,
           spread_enables: bool = False) -> dict[str, Site]:
    """The :class:`~boards.flow.macros.sites.Site` of each macro of ``module``, so that the
    distances (in tiles, along x and y) between macros, times their ``weights`` by pair, sum up to
    little.

    With ``spread_enables`` multipliers of one enable from afar go to blocks of their own as far as
    there are some.

    ``sites`` are those of each type of cell. Raises :exc:`ValueError` if there are fewer than
    macros, or if the multipliers of a block need more clock enables than it has.
    """
    layout = _Layout(module, weights, sites, random.Random(seed), TWICE if spread_enables else 0)
    layout.settle()
    if any(layout.lacking(site) for site in range(len(layout.sites))):
        raise ValueError("the multipliers of a block need more clock enables than it has")
    return {name: layout.sites[site] for name, site in zip(layout.names, layout.at, strict=True)}


class _Layout:
    """Macros by number, and the numbers of their sites."""

    def __init__(self, module: Module, weights: Mapping[tuple[str, str], float],
                 sites: Mapping[str, Sequence[Site]], rng: random.Random, twice: float) -> None:
        cells = module["cells"]
        self.rng, self.cost_twice = rng, twice
        self.names = sorted(name for name, cell in cells.items() if cell["type"] in MACROS)
        number = {name: index for index, name in enumerate(self.names)}
        # Of each macro: others, and their weights.
        self.near: list[list[tuple[int, float]]] = [[] for _ in self.names]
        for pair, weight in weights.items():
            first, second = (number[name] for name in pair)
            self.near[first].append((second, weight))
            self.near[second].append((first, weight))
        self.sites = [site for kind in MACROS for site in sites[kind]]
        self.x, self.y = [site.x for site in self.sites], [site.y for site in self.sites]
        self.here: list[int | None] = [None] * len(self.sites)  # the macro of each site
        self.at, self.choice, begin = [0] * len(self.names), [range(0)] * len(self.names), 0
        for kind in MACROS:
            choice = range(begin, begin + len(sites[kind]))
            mine = [index for index, name in enumerate(self.names) if cells[name]["type"] == kind]
            if len(mine) > len(choice):
                raise ValueError(f"there are {len(mine)} {kind}, but {len(choice)} sites for them")
            for index, site in zip(mine, rng.sample(choice, len(mine)), strict=True):
                self.at[index], self.here[site], self.choice[index] = site, index, choice
            begin = choice.stop
        self.enables = [_enables(cells[name]) for name in self.names]
        pins = Counter(str(bit) for cell in cells.values()
                       for bits in cell["connections"].values() for bit in bits)
        self.far = [frozenset(net for net in nets if net.isdigit() and pins[net] > FAR)
                    for nets in self.enables]
        blocks = defaultdict(list)
        for index, site in enumerate(self.sites):
            blocks[site.block].append(index)
        self.block = [blocks[site.block] for site in self.sites]

    def wires(self, macro: int, site: int, but: int | None = None) -> float:
        """What the wires of ``macro`` would cost at ``site``, besides those to ``but``."""
        x, y, at, xs, ys = self.x[site], self.y[site], self.at, self.x, self.y
        return sum(weight * (abs(x - xs[at[other]]) + abs(y - ys[at[other]]))
                   for other, weight in self.near[macro] if other != but)

    def lacking(self, site: int) -> int:
        """Clock enables that the block of a site lacks."""
        used = set().union(*(self.enables[macro] for macro in self.inside(site)))
        return max(len(used) - ENABLES, 0)

    def twice(self, site: int) -> int:
        """Enables from afar that lead to another multiplier of a site's block as well."""
        nets = [net for macro in self.inside(site) for net in self.far[macro]]
        return len(nets) - len(set(nets))

    def inside(self, site: int) -> list[int]:
        """The macros in the block of a site."""
        return [macro for each in self.block[site] if (macro := self.here[each]) is not None]

    def excess(self, first: int, second: int) -> float:
        """What the clock enables of two sites' blocks cost."""
        sites = (first,) if self.block[first] is self.block[second] else (first, second)
        return sum(TOO_MANY * self.lacking(site) + self.cost_twice * self.twice(site)
                   for site in sites)

    def swap(self, first: int, second: int) -> None:
        """Exchange what is at two sites, one of which may be free."""
        here, at = self.here, self.at
        here[first], here[second] = here[second], here[first]
        for site in first, second:
            if (macro := here[site]) is not None:
                at[macro] = site

    def settle(self) -> None:
        """Move macros about, less and less wildly."""
        rng, count, width = self.rng, len(self.names), max(self.x)
        hottest = HOTTEST * sum(map(self.wires, range(count), self.at)) / 2 / max(count, 1)
        for level in range(LEVELS if count else 0):
            heat = max(hottest * COLDEST ** (level / LEVELS), 1e-6)
            reach = max(width * (1 - level / LEVELS / SETTLED), NEAR)
            for _ in range(MOVES * count):
                macro = rng.randrange(count)
                there, site = self.at[macro], rng.choice(self.choice[macro])
                if site != there and abs(self.x[site] - self.x[there]) <= reach:
                    self._try(macro, there, site, heat)

    def _try(self, macro: int, there: int, site: int, heat: float) -> None:
        other = self.here[site]
        cost = self.wires(macro, site, other) - self.wires(macro, there, other)
        if other is not None:
            cost += self.wires(other, there, macro) - self.wires(other, site, macro)
        if cost > 8 * heat + TOO_MANY + self.cost_twice:
            return
        cost -= self.excess(there, site)
        self.swap(there, site)
        cost += self.excess(there, site)
        if cost > 0 and self.rng.random() > math.exp(-cost / heat):
            self.swap(there, site)


def _enables(cell: Cell) -> frozenset[str]:
    """Nets of the clock enables of a multiplier, constants among them."""
    if cell["type"] != MACROS[0]:
        return frozenset()
    return frozenset(str(bits[0]) for port, bits in cell["connections"].items()
                     if port.startswith("CE") and bits)
