"""How many lines of output to compute at a time: least times as formulas, and the choice."""

from collections.abc import Callable, Sequence
from operator import itemgetter

import numpy as np

from systolith.compiler.cost.convolution import ConvModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.mappings import Mapping

__all__ = ["band_bounds", "choose"]

#: What is tried of the mappings and bands of a layer, at the most.
TRIALS = 16
#: Bands of a trial; those of a taller image repeat.
BANDS = 16


def band_bounds(machine: Machine, *, lines: int, width: int, row_tiles: int, passes: int,
                most: int, trail: int = 0, short_acc: int = 0) -> np.ndarray:
    """The cycles that bands of 1 to ``most`` of the ``lines`` of a pixel lane take at least, as an
    array: those of the array and the last drain, or of the first tile and all drains.

    Short bands reload weights too often; long ones show their last drain. ``short_acc`` sums leave
    a cycle faster.
    """
    bands = np.arange(1, most + 1)
    beats = (machine.channel_groups * machine.pixel_lanes
             * max(machine.requantize - short_acc, 1))
    min_tile, drain_latency = machine.mean_min_tile, machine.drain_latency

    def compute(count: np.ndarray) -> np.ndarray:
        return row_tiles * np.maximum(count * (width + trail), min_tile)

    def drain(count: np.ndarray) -> np.ndarray:
        return beats * count * width + drain_latency

    full, rest = np.divmod(lines, bands)
    last = np.where(rest > 0, rest, bands)

    def all_of(cost: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return passes * (full * cost(bands) + np.where(rest > 0, cost(rest), 0))

    # A shorter band at the end may wait for the drain before it.
    waits = np.where((rest > 0) & (full > 0), np.maximum(drain(bands) - compute(rest), 0), 0)
    return np.maximum(all_of(compute) + waits + drain(last), compute(bands) + all_of(drain))


def choose(mappings: Sequence[tuple[Mapping, int]], band: int | None = None) -> tuple[Mapping, int]:
    """The fastest of the ``mappings`` of a layer, each with the most lines that it can take, and
    the lines of its bands: as many as ``band`` says, if it does.

    What promises the most is tried first, by the model of cycles, until nothing promises more.
    """
    trials = []
    for order, (mapping, most) in enumerate(mappings):
        bounds = _bounds(mapping, most)
        bands = (np.argsort(bounds, kind="stable")[:TRIALS] + 1 if band is None
                 else [min(band, mapping.lines)])
        trials += [(max(bounds[each - 1], mapping.words), order, int(each)) for each in bands]
    # Of the convolution unit alone: what comes after it is the same for all.
    model = ConvModel(mappings[0][0].machine)
    costs: list[tuple[float, int, int]] = []  # of what was tried
    for bound, order, each in sorted(trials)[:TRIALS]:
        if costs and bound >= min(costs)[0]:
            break
        costs.append((_cycles(model, mappings[order][0], each), order, each))
    _, order, each = min(costs, key=itemgetter(0))
    return mappings[order][0], each


def _bounds(mapping: Mapping, most: int) -> np.ndarray:
    """The cycles of bands of 1 to ``most`` lines at least, with what others lose by them."""
    return band_bounds(
        mapping.machine, lines=mapping.lines, width=mapping.shape.out_width,
        row_tiles=mapping.row_tiles, passes=mapping.passes, most=most, trail=mapping.trail,
        short_acc=mapping.short_acc) + _conflict(mapping) * -(
            -mapping.lines // np.arange(1, most + 1))


def _conflict(mapping: Mapping) -> int:
    """Cycles that the weights of a band take from others."""
    machine = mapping.machine
    return (machine.weight_row_conflict * machine.array.rows * mapping.row_tiles
            * mapping.passes)


def _cycles(model: ConvModel, mapping: Mapping, band: int) -> float:
    """The cycles of an image."""
    machine, config = mapping.machine, mapping.config(band)
    beat = machine.scatter_cycles if mapping.scattered else 0
    bands = -(-mapping.lines // band)

    def of(count: int) -> int:  # that many bands, from the top
        lines = config["y_origin"] + count * band * config["y_step"] + mapping.shape.span(0)
        return model.run(config | {"y_count": count * band - 1,
                                   "lines": min(lines, config["lines"])},
                         beat=beat, short_acc=mapping.short_acc).cycles

    if bands <= 2 * BANDS:
        cycles: float = model.run(config, beat=beat, short_acc=mapping.short_acc).cycles
    else:
        cycles = of(BANDS) + (of(2 * BANDS) - of(BANDS)) * (bands - BANDS) / BANDS
    return cycles + _conflict(mapping) * bands
