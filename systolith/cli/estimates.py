"""How long slow work takes: what it took elsewhere, by how fast this machine was before."""

import json
import statistics
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypedDict, Unpack

from rtl.build_folder import build_folder
from systolith.cli.progress import progress

if TYPE_CHECKING:
    from boards.board import Board
    from boards.flow.bitstream import Bitstream
    from rtl.accelerator import AcceleratorParams

__all__ = ["Design", "build_seconds", "building", "compiling", "together"]

#: Seconds that a simulator takes to compile, and those of each of its products, where the project
#: was developed.
SIMULATORS = {"core": (3.5, 0.08), "accelerator": (14, 0.2), "board": (20, 0.3)}
#: Seconds up to which a simulator was there before.
THERE = 3
#: What synthesis adds to the seconds of place and route.
SYNTHESIS = 1.15
#: Where the pace of this machine is kept.
FILE = build_folder("pace.json")


class Design(TypedDict, total=False):
    """What a bitstream is made of, besides the board: see
    :func:`boards.flow.bitstream.build_bitstream`."""

    mhz: float | None
    params: "AcceleratorParams"
    standalone: bool


@contextmanager
def compiling(text: str, kind: str, products: int) -> Generator[None, None, None]:
    """Say ``text`` and how long the simulator that is compiled meanwhile will take, by its kind, of
    :data:`SIMULATORS`, and its products."""
    base, each = SIMULATORS[kind]
    usual, began = base + each * products, time.monotonic()
    with progress(seconds=usual * _pace("simulators")) as step:
        step(text)
        yield
    if (took := time.monotonic() - began) > THERE:
        _note("simulators", took / usual)


def building(board: "Board", *, seed: int | None = None,
             **design: Unpack[Design]) -> "Bitstream":
    """The bitstream of a board, as of :func:`boards.flow.bitstream.build_bitstream`, while it is
    told what is done and how long that will take."""
    from boards.flow.bitstream import build_bitstream

    seed, params = board.seed if seed is None else seed, design.get("params", board.params)
    usual, began = _placing(board, seed, params.products), time.monotonic()
    with progress(seconds=usual and SYNTHESIS * usual * _pace("builds")) as step:
        done = build_bitstream(board, seed=seed, **design,
                               progress=lambda text: step(f"{board.name}: {text}"))
    # A build that was there before took longer than it took to find it.
    if usual and time.monotonic() - began >= (took := done.seconds["place and route"]):
        _note("builds", took / usual)
    return done


def build_seconds(board: "Board", seeds: Iterable[int]) -> float | None:
    """What synthesis and place and route of ``board`` from each of ``seeds`` take on this machine;
    None if that is not known."""
    usual = together(_placing(board, seed, board.params.products) for seed in seeds)
    return None if usual is None else SYNTHESIS * usual * _pace("builds")


def together(seconds: Iterable[float | None]) -> float | None:
    """The sum of ``seconds``; None if one of them is not known."""
    total = 0.0
    for each in seconds:
        if each is None:
            return None
        total += each
    return total


def _placing(board: "Board", seed: int, products: int) -> float | None:
    """Seconds of place and route on record, for a build with as many products."""
    from boards.flow.clocks import read_clocks

    clock = read_clocks().get(board.name)
    if clock is None:
        return None
    known = dict(zip(clock.seeds, clock.seconds, strict=True))
    return (known.get(seed, statistics.median(clock.seconds))
            * products / board.params.products)


def _paces() -> dict[str, float]:
    try:
        return {name: float(pace) for name, pace in json.loads(FILE.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _pace(work: str) -> float:
    """How many times as long this machine takes for some sort of work."""
    return _paces().get(work, 1.0)


def _note(work: str, pace: float) -> None:
    """Keep the pace for the next time."""
    with suppress(OSError):
        FILE.write_text(json.dumps(_paces() | {work: round(pace, 3)}))
