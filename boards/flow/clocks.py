"""Clocks of boards as place and route gave them, on record beside the designs they belong to."""

import importlib.metadata
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from boards.board import Board
from boards.flow.bitstream import BUILD, build_bitstream, prepare
from boards.flow.tools import Say, cached, digest, tool_versions

__all__ = ["FILE", "Clock", "measure", "read_clocks", "stale", "write_clocks"]

#: The record: a list of :class:`Clock`.
FILE = Path(__file__).parents[1] / "clocks.json"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Clock:
    """What place and route made of a board's design.

    ``mhz`` has the Fmax for each of ``seeds``; ``clock_mhz`` is the clock of its PLL. Cells are
    those of the seed that ``critical_path`` is of: the median one, or the slower of two.
    ``seconds`` are what place and route took for each seed.
    """

    board: str
    clock_mhz: float
    seeds: list[int]
    mhz: list[float]
    luts: int
    ffs: int
    dsps: int
    rams: int
    sprams: int
    critical_path: str
    seconds: list[int]
    netlist_hash: str
    tools: dict[str, str]

    @property
    def median(self) -> float:
        return round(statistics.median(self.mhz), 2)

    @property
    def met(self) -> bool:
        """Timing is met by the median of all seeds."""
        return self.median >= self.clock_mhz


def read_clocks(file: Path = FILE) -> dict[str, Clock]:
    """Every :class:`Clock` on record by its board."""
    clocks = [Clock(**each) for each in json.loads(Path(file).read_text())]
    return {clock.board: clock for clock in clocks}


def write_clocks(clocks: Mapping[str, Clock], file: Path = FILE) -> None:
    """Put ``clocks``, by their board, on record in place of all that is there."""
    text = json.dumps([asdict(clock) for _, clock in sorted(clocks.items())], indent=1)
    Path(file).write_text(f"{text}\n")


def stale(clock: Clock, board: Board) -> str:
    """Why ``clock`` says nothing of ``board`` any more; empty if it does."""
    tools = tool_versions(board.family)
    if clock.tools != tools:
        return "; ".join(f"{name} was {clock.tools.get(name, 'another tool')} and is {version}"
                         for name, version in tools.items() if clock.tools.get(name) != version)
    if clock.netlist_hash != _design(board).netlist_hash:
        return "the design is another one by now"
    return ""


def measure(board: Board, seeds: Sequence[int] = (1, 2, 3),
            progress: Say = lambda text: None) -> Clock:
    """The :class:`Clock` of ``board``: synthesis, and a run of place and route for each seed."""
    def say(text: str) -> None:
        progress(f"{board.name}, seed {seed}: {text}")

    builds = []
    for seed in seeds:
        builds.append(build_bitstream(board, seed=seed, progress=say))
    typical = sorted(builds, key=lambda build: build.mhz)[(len(builds) - 1) // 2]
    return Clock(
        board=board.name, clock_mhz=typical.clock_mhz, seeds=list(seeds),
        mhz=[build.mhz for build in builds],
        seconds=[round(build.seconds["place and route"]) for build in builds],
        **{name: getattr(typical, name) for name in (
            "luts", "ffs", "dsps", "rams", "sprams", "critical_path", "netlist_hash", "tools")})


@dataclass(frozen=True, kw_only=True)
class _Design:
    netlist_hash: str


def _design(board: Board) -> _Design:
    """The hash of the board's design, which takes seconds to tell: kept as long as no source of it
    changes."""
    sources = [path.read_text() for folder in ("rtl", "boards")
               for path in sorted(ROOT.glob(f"{folder}/**/*.py"))]
    versions = list(map(importlib.metadata.version, ("amaranth", "amaranth-boards")))
    return cached(BUILD / "designs" / f"{digest(repr(board), sources, versions)}.json", _Design,
                  lambda _: _Design(netlist_hash=prepare(board).netlist_hash))
