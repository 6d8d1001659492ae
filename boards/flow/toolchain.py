"""Yosys and nextpnr: from a component to a placed core, each result computed once.

Cells of the core are told by their names, which begin with ``core.``: Yosys keeps the core's
boundary until everything is mapped and only then flattens it, so no cell belongs to both sides.
nextpnr names a packed cell after the LUT in it, or after the flip-flop where there is none. As no
LUT of the harness drives a register of the core, a packed cell is the core's exactly if it holds
anything of the core's. The cells by which nextpnr leads carries into and out of chains are the
core's as well, since the harness has no chains. All that is left is the harness, and one or two
cells that drive constants.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from boards.devices import Device
from boards.flow.harness import Harness
from boards.flow.netlist import Design, Module
from boards.flow.tools import ToolError, cached, digest, nextpnr, tool_versions, yosys
from rtl.build_folder import build_folder
from rtl.export.rtlil import emit_rtlil

__all__ = ["CORE", "Netlist", "Placement", "netlist_of", "place_and_route", "placement_of",
           "plain_names", "synthesise", "trim_carries"]

BUILD = build_folder("report")

#: How names within the core begin.
CORE = "core."
#: How names of packed LUTs of the core begin, with those that nextpnr adds to carry chains.
CORE_LUTS = CORE, "$nextpnr_"

#: Packed cells that hold one LUT each.
LUT_CELLS = {"ice40": "ICESTORM_LC", "ecp5": "TRELLIS_COMB"}
#: Packed cells that are registers, named best by what they drive.
REGISTERS = {"ICESTORM_LC": "O", "TRELLIS_FF": "Q"}


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised core in its harness.

    ``cells`` counts the core's cells by type; ``multipliers`` has the parameters of each of its
    ``SB_MAC16``; ``seconds`` is what synthesis took.
    """

    folder: str
    cells: dict[str, int]
    multipliers: list[dict[str, str]]
    seconds: float

    @property
    def files(self) -> tuple[Path]:
        return (Path(self.folder, "netlist.json"),)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A core placed and routed from one seed.

    ``mhz`` is nextpnr's clock. ``luts`` counts packed LUTs of the core and ``total_luts`` those of
    the device, harness included. The critical path runs from ``source`` to ``sink`` (names of
    signals; those of the core begin with ``core.``) through ``levels`` cells, and takes
    ``logic_ns`` in cells and ``routing_ns`` between them.
    """

    seed: int
    mhz: float
    luts: int
    total_luts: int
    source: str
    sink: str
    levels: int
    logic_ns: float
    routing_ns: float
    seconds: float


def synthesise(component: wiring.Component, device: Device, workdir: Path = BUILD, *,
               timeout: float = 1800) -> Netlist:
    """Synthesise ``component`` in a :class:`~boards.flow.harness.Harness` for ``device``.

    Returns a :class:`Netlist`, kept in a folder of its own under ``workdir``.

    Raises :exc:`ToolError` if Yosys fails or is not done in ``timeout`` seconds.
    """
    rtlil = plain_names(emit_rtlil(Harness(component), platform=device.family))
    passes = ["read_rtlil top.il", "setattr -mod -set keep_hierarchy 1 top.core",
              f"{device.synthesis} -top top", "setattr -mod -unset keep_hierarchy top.core",
              "flatten", "clean", "write_json netlist.json"]
    return netlist_of(rtlil, passes, device, workdir, timeout=timeout, prefix=CORE)


def netlist_of(rtlil: str, passes: Sequence[str], device: Device, workdir: Path, *,
               timeout: float = 1800, prefix: str = "") -> Netlist:
    """What Yosys makes of ``rtlil`` by ``passes``, which read ``top.il`` and write
    ``netlist.json``: a :class:`Netlist` of the cells whose names begin with ``prefix``."""
    folder = Path(workdir) / digest(rtlil, passes, tool_versions(device.family), _method())

    def run(scratch: Path) -> Netlist:
        Path(scratch, "top.il").write_text(rtlil)
        started = time.monotonic()
        yosys().run(passes, scratch, timeout)
        seconds = time.monotonic() - started
        netlist = json.loads(Path(scratch, "netlist.json").read_text())
        trim_carries(netlist)
        Path(scratch, "netlist.json").write_text(json.dumps(netlist))
        Path(scratch, "netlist.json").replace(folder / "netlist.json")
        cells = {name: cell for name, cell in netlist["modules"]["top"]["cells"].items()
                 if name.startswith(prefix) and not cell["type"].startswith("$")}
        return Netlist(
            folder=str(folder), seconds=round(seconds, 1),
            cells=dict(Counter(cell["type"] for cell in cells.values())),
            multipliers=[cell["parameters"] for cell in cells.values()
                         if cell["type"] == "SB_MAC16"])

    return cached(folder / "synthesis.json", Netlist, run)


def plain_names(rtlil: str) -> str:
    """``rtlil`` with ``a.7`` for each name ``a[7]``, such as Amaranth gives to items of arrays.

    Yosys calls bit 7 of a wire ``a`` so on the way through ABC9, and fails if there is such a wire.
    """
    return re.sub(r"(?<=\S)\[(\d+)\]", r".\1", rtlil)  # a slice follows a space


def trim_carries(netlist: Design) -> None:
    """Disconnect each carry out of a ``CCU2C`` that goes nowhere, in a netlist of Yosys.

    nextpnr leads any carry that is connected out of its chain: another ``CCU2C`` for each chain.
    """
    for module in netlist["modules"].values():
        ends = [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
        ends += [port["bits"] for port in module["ports"].values()]
        uses = Counter(bit for bits in ends for bit in bits)
        for cell in module["cells"].values():
            if cell["type"] == "CCU2C" and uses[cell["connections"]["COUT"][0]] == 1:
                cell["connections"]["COUT"] = ["x"]  # as Yosys writes an output without a net


def place_and_route(netlist: Netlist, device: Device, seed: int, frequency: int | None = None, *,
                    timeout: float = 3600) -> Placement:
    """Place and route ``netlist`` from ``seed``, aiming at ``frequency`` MHz (or the device's own).

    Returns a :class:`Placement`, kept beside the netlist.

    Raises :exc:`ToolError` if nextpnr fails or is not done in ``timeout`` seconds.
    """
    arguments = [*device.arguments, "--freq", str(frequency or device.frequency),
                 "--seed", str(seed), "--timing-allow-fail", "--quiet", "--json", "netlist.json"]
    folder = Path(netlist.folder)

    def run(scratch: Path) -> Placement:
        # nextpnr sees nothing outside the folder it runs in.
        Path(scratch, "netlist.json").hardlink_to(folder / "netlist.json")
        started = time.monotonic()
        nextpnr(device.family).run([*arguments, "--write", "placed.json", "--report",
                                    "report.json"], scratch, timeout)
        seconds = time.monotonic() - started
        report = json.loads(Path(scratch, "report.json").read_text())
        return Placement(seed=seed, seconds=round(seconds, 1),
                         **placement_of(report, Path(scratch, "placed.json"), device.family))

    versions = tool_versions(device.family)
    return cached(folder / f"{digest(arguments, versions)}.json", Placement, run)


def placement_of(report: dict[str, Any], placed: Path, family: str) -> dict[str, Any]:
    """Fields of a :class:`Placement` that nextpnr's report and its netlist tell."""
    module = json.loads(placed.read_text())["modules"]["top"]
    lut_cell = LUT_CELLS[family]
    luts = [name for name, cell in module["cells"].items() if cell["type"] == lut_cell]
    total = report["utilization"][lut_cell]["used"]
    if len(luts) != total:
        raise ToolError(f"nextpnr packed {len(luts)} cells {lut_cell}, but reports {total}")
    clock = min(report["fmax"], key=lambda name: report["fmax"][name]["achieved"])
    path = next(path["path"] for path in report["critical_paths"]
                if path["from"].endswith(clock) and path["to"].endswith(clock))
    return {
        "mhz": round(report["fmax"][clock]["achieved"], 2),
        "luts": sum(name.startswith(CORE_LUTS) for name in luts),
        "total_luts": total,
        "source": _signal(module, path[0]["from"]["cell"]),
        "sink": _signal(module, path[-1]["to"]["cell"]),
        "levels": sum(step["type"] == "logic" for step in path),
        "logic_ns": round(sum(step["delay"] for step in path if step["type"] != "routing"), 2),
        "routing_ns": round(sum(step["delay"] for step in path if step["type"] == "routing"), 2),
    }


def _signal(module: Module, name: str) -> str:
    """What a person would call the cell ``name``: the signal a register drives, or itself."""
    cell, core = module["cells"][name], CORE if name.startswith(CORE) else ""
    port = REGISTERS.get(cell["type"])
    if port is not None and cell["connections"][port]:
        bit, = cell["connections"][port]
        name = next(net for net, value in module["netnames"].items() if value["bits"] == [bit])
        # Ports of the core have names of the harness, but their registers are the core's.
        name = core + name.removeprefix(core)
    return re.sub(r"(_SB_|_TRELLIS_|_DSP$|_RAM$|_LUT4_|_DFFLC$|_LC$).*", "", name)


def _method() -> str:
    """This very file: a result is kept only as long as what made it."""
    return Path(__file__).read_text()
