"""How long slow work takes: what it took elsewhere, by how fast this machine was before."""

import json
import statistics
import time
from contextlib import contextmanager, suppress

from rtl.build_folder import build_folder
from systolith.cli.progress import progress

__all__ = ["build_seconds", "building", "compiling"]

#: Seconds that a simulator takes to compile, and those of each of its products, where the project
#: was developed.
SIMULATORS = {"core": (3.5, 0.08), "accelerator": (14, 0.2), "board": (20, 0.3)}
#: Seconds up to which a simulator was there before.
THERE = 3
#: What synthesis adds to the seconds of place and route.
SYNTHESIS = 1.15
#: Where the pace of this machine is kept.
FILE = build_folder("pace.json")


@contextmanager
def compiling(text, kind, products):
    """Say ``text`` and how long the simulator that is compiled meanwhile will take, by its kind, of
    :data:`SIMULATORS`, and its products."""
    base, each = SIMULATORS[kind]
    usual, began = base + each * products, time.monotonic()
    with progress(seconds=usual * _pace("simulators")) as step:
        step(text)
        yield
    if (took := time.monotonic() - began) > THERE:
        _note("simulators", took / usual)


def building(board, *, seed=None, **design):
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


def build_seconds(board, seeds):
    """What synthesis and place and route of ``board`` from each of ``seeds`` take on this machine;
    None if that is not known."""
    usual = [_placing(board, seed, board.params.products) for seed in seeds]
    return None if None in usual else SYNTHESIS * sum(usual) * _pace("builds")


def _placing(board, seed, products):
    """Seconds of place and route on record, for a build with as many products."""
    from boards.flow.clocks import read_clocks

    clock = read_clocks().get(board.name)
    if clock is None:
        return None
    known = dict(zip(clock.seeds, clock.seconds, strict=True))
    return (known.get(seed, statistics.median(clock.seconds))
            * products / board.params.products)


def _paces():
    try:
        return {name: float(pace) for name, pace in json.loads(FILE.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _pace(work):
    """How many times as long this machine takes for some sort of work."""
    return _paces().get(work, 1.0)


def _note(work, pace):
    """Keep the pace for the next time."""
    with suppress(OSError):
        FILE.write_text(json.dumps(_paces() | {work: round(pace, 3)}))
