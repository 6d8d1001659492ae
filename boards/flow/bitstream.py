"""From a board to its bitstream, and what place and route says of it."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boards.board import Board
from boards.devices import Device, device_of
from boards.flow.floorplan import paths_of, units_of
from boards.flow.macros import pin_macros
from boards.flow.progress import Progress
from boards.flow.report import KINDS, true_mhz
from boards.flow.toolchain import netlist_of, placement_of, plain_names
from boards.flow.tools import Say, ToolError, cached, digest, nextpnr, packer, tool_versions
from boards.gateware.top import Top
from rtl.accelerator import AcceleratorParams
from rtl.build_folder import build_folder

__all__ = ["BUILD", "Bitstream", "TimingError", "build_bitstream", "prepare"]

BUILD = build_folder("boards")


class TimingError(ToolError):
    """A build does not meet timing."""


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """A board's design, placed and routed.

    Attributes
    ----------
    board : :class:`str`
    seed : :class:`int`
    clock_mhz, mhz : :class:`float`
        The clock that the PLL makes, and the Fmax of the design.
    luts, ffs, dsps, rams, sprams : :class:`int`
    units : dict
        Packed cells of each unit by their kind.
    macs_per_cycle, gmacs
        Products a cycle, and 10^9 products a second at ``clock_mhz``.
    critical_path : :class:`str`
        In words: from which unit to which.
    seconds : dict
        What each tool took.
    netlist_hash : :class:`str`
        Of the design that was placed, whatever the tools, the seed and the paths.
    tools : dict
    file, placed : :class:`str`
        The bitstream, and nextpnr's netlist with the place of each cell.
    paths : dict
        As of :func:`boards.flow.floorplan.paths_of`.
    """

    board: str
    seed: int
    clock_mhz: float
    mhz: float
    luts: int
    ffs: int
    dsps: int
    rams: int
    sprams: int
    units: dict[str, dict[str, int]]
    macs_per_cycle: int
    gmacs: float
    critical_path: str
    seconds: dict[str, float]
    netlist_hash: str
    tools: dict[str, str]
    file: str
    placed: str
    paths: dict[str, str]

    @property
    def met(self) -> bool:
        return self.mhz >= self.clock_mhz

    @property
    def files(self) -> tuple[str, str]:
        """Without these the rest is worth nothing."""
        return self.file, self.placed

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {**asdict(self), "met": self.met}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A design ready for the tools: RTLIL, constraints, and the commands of the platform."""

    rtlil: str
    passes: list[str]
    constraints: dict[str, str]
    place: list[str]
    pack: list[str]
    mhz: float
    macs_per_cycle: int

    @property
    def netlist_hash(self) -> str:
        """Of all that a netlist and its pins follow from, besides the tools."""
        return digest(self.rtlil, self.passes, self.constraints)


def prepare(board: Board, *, mhz: float | None = None, params: AcceleratorParams | None = None,
            standalone: bool = False) -> Prepared:
    """The design of ``board`` for the tools, without any of them."""
    platform = board.platform_class()()
    top = Top(board, platform, mhz=mhz, params=params, standalone=standalone)
    files = platform.prepare(top, "top").files
    text = {name: content if isinstance(content, str) else content.decode()
            for name, content in files.items()}
    _, place, pack, *_ = json.loads(text["build_top.json"])["commands"]
    drop = {"--quiet", "--log", "top.tim", "--json", "top.json"}
    # Where the source lies on this machine is not a part of the design.
    rtlil = re.sub(r"\n *attribute \\src .*", "", text["top.il"])
    passes = ["read_rtlil top.il", f"{device_of(board.device).synthesis} -top top",
              "write_json netlist.json"]
    return Prepared(
        rtlil=plain_names(rtlil), passes=passes,
        place=[each for each in place[1:] if each not in drop],
        pack=[each for each in pack if each not in {"--svf", "top.svf"}], mhz=top.mhz,
        constraints={name: content for name, content in text.items()
                     if name.endswith((".lpf", ".pcf"))},
        macs_per_cycle=(params or board.params).products)


def build_bitstream(board: Board, *, seed: int | None = None, mhz: float | None = None,
                    params: AcceleratorParams | None = None, standalone: bool = False,
                    options: Sequence[str] = (), workdir: Path = BUILD, timeout: float = 7200,
                    progress: Say = lambda text: None) -> Bitstream:
    """The :class:`Bitstream` of a :class:`~boards.board.Board`, kept under ``workdir``.

    ``seed``, ``mhz``, ``params`` and ``options`` (of nextpnr) stand in for those of the board;
    ``standalone`` is as of :class:`~boards.gateware.top.Top`.
    Raises :exc:`~boards.flow.tools.ToolError` if a tool fails or takes more than ``timeout``
    seconds; whether the clock is met is for :func:`check_timing` to say.
    """
    device = device_of(board.device)
    seed = board.seed if seed is None else seed
    design = prepare(board, mhz=mhz, params=params, standalone=standalone)
    progress("synthesis")
    netlist = netlist_of(design.rtlil, design.passes, device, workdir)
    counts = {kind: sum(count for cell, count in netlist.cells.items()
                        if cell.startswith(KINDS[kind]))
              for kind in ("ffs", "dsps", "rams", "sprams")}
    _check_room(board, device, counts)
    arguments = [*design.place, "--freq", f"{design.mhz:.3f}", "--seed", str(seed),
                 "--timing-allow-fail", "--json", "netlist.json", "--write", "placed.json",
                 "--report", "report.json", *board.options, *options]
    versions = tool_versions(device.family)
    folder, paths = Path(netlist.folder), paths_of(design.rtlil)
    name = digest(arguments, design.constraints, design.pack, versions, board.macros,
                  board.spread_enables,
                  _method())

    def run(scratch: Path) -> Bitstream:
        if board.macros:
            progress("placing multipliers and block RAMs")
            placed = json.loads((folder / "netlist.json").read_text())
            pin_macros(placed["modules"]["top"], device, seed, spread_enables=board.spread_enables)
            (scratch / "netlist.json").write_text(json.dumps(placed))
        else:
            (scratch / "netlist.json").hardlink_to(folder / "netlist.json")
        for file, content in design.constraints.items():
            (scratch / file).write_text(content)
        started = time.monotonic()
        nextpnr(device.family).run(arguments, scratch, timeout, Progress(progress))
        routed = time.monotonic()
        progress("packing the bitstream")
        packer(device.family, design.pack[0]).run(design.pack[1:], scratch, timeout)
        suffix = ".bit" if device.family == "ecp5" else ".bin"
        placement = placement_of(json.loads((scratch / "report.json").read_text()),
                                 scratch / "placed.json", device.family)
        units = units_of(scratch / "placed.json", paths)
        for made, kept in (("placed.json", ".placed.json"), (f"top{suffix}", suffix)):
            (scratch / made).replace(folder / (name + kept))
        met = true_mhz(placement["mhz"], netlist.multipliers)
        return Bitstream(
            board=board.name, seed=seed, clock_mhz=round(design.mhz, 3), mhz=round(met, 2),
            luts=placement["total_luts"], units=units, macs_per_cycle=design.macs_per_cycle,
            gmacs=round(design.macs_per_cycle * design.mhz / 1e3, 3),
            **counts, critical_path=_in_words(placement),
            seconds={"synthesis": netlist.seconds, "place and route": round(routed - started, 1)},
            netlist_hash=design.netlist_hash, tools=versions, file=str(folder / (name + suffix)),
            placed=str(folder / f"{name}.placed.json"), paths=paths)

    return cached(folder / f"{name}.json", Bitstream, run)


def _check_room(board: Board, device: Device, counts: dict[str, int]) -> None:
    """Raise :exc:`ToolError` if the design has more of anything than the device."""
    names = {"ffs": "flip-flops", "dsps": "multipliers", "rams": "block RAMs",
             "sprams": "single-port RAMs"}
    room = {**{kind: getattr(device, kind) for kind in names if kind != "ffs"}, "ffs": device.luts}
    short = [f"{counts[kind]} {name}, of which there are {room[kind]}"
             for kind, name in names.items() if counts[kind] > room[kind]]
    if short:
        raise ToolError(f"{board.name}: the design takes {'; '.join(short)}. A smaller array, "
                        "fewer lanes or smaller memories may help")


def check_timing(bitstream: Bitstream) -> None:
    """Raise :exc:`TimingError` if ``bitstream`` does not meet timing at its clock."""
    if not bitstream.met:
        raise TimingError(
            f"{bitstream.board} does not meet timing at {bitstream.clock_mhz} MHz: Fmax is "
            f"{bitstream.mhz} MHz with seed {bitstream.seed}. The critical path runs "
            f"{bitstream.critical_path}. Try another --seed, or a lower --frequency")


def _in_words(placement: dict[str, Any]) -> str:
    ends = [".".join(placement[end].split(".")[1:4]) or placement[end]
            for end in ("source", "sink")]
    return (f"from {ends[0]} to {ends[1]}: {placement['levels']} levels, {placement['logic_ns']} "
            f"ns of logic and {placement['routing_ns']} ns of routing")


def _method() -> str:
    """This very file, those that read reports, and those that place macros: a result is kept only
    as long as what made it."""
    here = Path(__file__)
    others = [here.with_name(name) for name in ("floorplan.py", "report.py")]
    return "".join(path.read_text()
                   for path in (here, *others, *sorted(here.parent.glob("macros/*.py"))))
