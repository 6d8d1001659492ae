"""How long slow work takes: by the record of clocks, or by how fast this machine was before."""

import json
import statistics
import time
from contextlib import contextmanager, suppress

from rtl.build_folder import build_folder
from systolith.cli.progress import progress

__all__ = ["build_seconds", "compiling"]

#: Seconds that a simulator takes to compile, and those of each of its products, where the project
#: was developed.
SIMULATORS = {"core": (3.5, 0.08), "accelerator": (14, 0.2), "board": (20, 0.3)}
#: Seconds up to which a simulator was there before.
THERE = 3
#: What synthesis adds to the seconds of place and route.
SYNTHESIS = 1.15


@contextmanager
def compiling(text, kind, products):
    """Tell how long the simulator that is compiled meanwhile will take, by its kind, of
    :data:`SIMULATORS`, and its products; by the last one, this machine is faster or slower."""
    base, each = SIMULATORS[kind]
    reckoned, began = base + each * products, time.monotonic()
    with progress(seconds=reckoned * _pace()) as step:
        step(text)
        yield
    if (took := time.monotonic() - began) > THERE:
        with suppress(OSError):
            _file().write_text(json.dumps(round(took / reckoned, 3)))


def _file():
    return build_folder("sim") / "pace.json"


def _pace():
    try:
        return float(json.loads(_file().read_text()))
    except (OSError, ValueError, TypeError):
        return 1.0


def build_seconds(board, seeds, products=None):
    """What synthesis and a run of place and route for each of ``seeds`` take, of a build with as
    many ``products`` if they are not the board's; None if the board has no clock on record."""
    from boards.flow.clocks import read_clocks

    clock = read_clocks().get(board.name)
    if clock is None:
        return None
    known, usual = dict(zip(clock.seeds, clock.seconds, strict=True)), statistics.median(
        clock.seconds)
    size = (products or board.params.products) / board.params.products
    return SYNTHESIS * size * sum(known.get(seed, usual) for seed in seeds)
