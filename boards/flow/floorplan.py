"""Where the units of a design lie on the die, and how much of it each takes."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from boards.flow.netlist import Cell

__all__ = ["draw", "paths_of", "unit_of", "units_of"]

#: Cells by what they are called in a breakdown; all others are left out.
KINDS = {"ICESTORM_LC": "LUTs", "TRELLIS_COMB": "LUTs", "TRELLIS_FF": "FFs",
         "ICESTORM_DSP": "DSPs", "MULT18X18D": "DSPs", "ICESTORM_RAM": "RAMs", "DP16KD": "RAMs",
         "ICESTORM_SPRAM": "SPRAMs"}


def paths_of(rtlil: str) -> dict[str, str]:
    """Prefixes of cells' names, each with the unit it stands for: those of the link and of the
    parts of the accelerator, as the modules of ``rtlil`` have them."""
    modules = re.findall(r"^module \\top\.(core\.[\w.$]+)$", rtlil, re.M)
    # With SDRAM, the accelerator lies beside its controller.
    accelerators = "core.accelerator.accelerator.", "core.accelerator."
    inner = (*(f"{each}gemm." for each in accelerators), *accelerators, "core.link.", "core.")
    return {f"{path}.": re.sub(r"\$\d+$", "", path.split(".")[-1]) for path in modules
            if any(path.startswith(each) and "." not in path.removeprefix(each)
                   for each in inner)}


def unit_of(name: str, paths: Mapping[str, str]) -> str:
    """The unit that a cell called ``name`` belongs to: that of the longest of ``paths``.

    Cells that nextpnr adds to carry chains belong to the rest.
    """
    matches = [path for path in paths if name.startswith(path)]
    return paths[max(matches, key=len)] if matches else "rest"


def units_of(placed: str | Path, paths: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Cells of nextpnr's netlist at ``placed``: unit -> kind -> count, the largest unit first."""
    units: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in _cells(placed).items():
        if cell["type"] in KINDS:
            units[unit_of(name, paths)][KINDS[cell["type"]]] += 1
    return {unit: dict(kinds) for unit, kinds in
            sorted(units.items(), key=lambda item: -item[1].total())}


def draw(placed: str | Path, paths: Mapping[str, str], file: str | Path, title: str = "") -> None:
    """An image of the floorplan, coloured by unit, as PNG or SVG by the suffix of ``file``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    places = defaultdict(list)
    for name, cell in _cells(placed).items():
        bel = cell["attributes"].get("NEXTPNR_BEL", "")
        if cell["type"] in KINDS and (found := re.match(r"X(\d+)/Y(\d+)/", bel)):
            places[unit_of(name, paths)].append((int(found[1]), int(found[2]), cell["type"]))
    if not places:
        raise ValueError(f"{placed} has no placed cells")
    figure, axes = pyplot.subplots(figsize=(10, 8), layout="constrained")
    colours = pyplot.get_cmap("tab20")
    ordered = sorted(places.items(), key=lambda item: -len(item[1]))
    for number, (unit, cells) in enumerate(ordered):
        for large in False, True:
            mine = Counter((x, y) for x, y, kind in cells
                           if (KINDS[kind] in {"LUTs", "FFs"}) != large)
            if mine:
                columns, rows = zip(*mine, strict=True)
                axes.scatter(columns, rows, marker="s", s=60 if large else 9,
                             color=colours(number % colours.N),
                             edgecolors="black" if large else "none", linewidths=0.6,
                             label=None if large and len(mine) < len(cells) else unit)
    axes.set(title=title, xlabel="column", ylabel="row", aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _cells(placed: str | Path) -> dict[str, Cell]:
    return json.loads(Path(placed).read_text())["modules"]["top"]["cells"]
