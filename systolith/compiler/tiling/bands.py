"""How many lines of output to compute at a time: least times as formulas, and the choice."""

import functools

import numpy as np

from systolith.compiler.cost.convolution import ConvModel

__all__ = ["band_bounds", "choose"]

#: What is tried of the ways and bands of a layer, at the most.
TRIALS = 16
#: Bands of a trial; those of a taller image repeat.
BANDS = 16


def band_bounds(core, lines, width, row_tiles, passes, most, trail=0, short_acc=0):
    """The cycles that bands of 1 to ``most`` of the ``lines`` of a pixel lane take at least, as an
    array: those of the array and the last drain, or of the first tile and all drains.

    Short bands reload weights too often; long ones show their last drain. ``short_acc`` sums leave
    a cycle faster.
    """
    bands = np.arange(1, most + 1)
    beats = core.array.cols // core.drain_lanes * \
        core.pixel_lanes * max(core.requantize - short_acc, 1)

    def compute(count):
        return row_tiles * np.maximum(count * (width + trail), core.min_tile)

    def drain(count):
        return beats * count * width + core.drain_latency

    full, rest = np.divmod(lines, bands)
    last = np.where(rest > 0, rest, bands)

    def all_of(cost):
        return passes * (full * cost(bands) + np.where(rest > 0, cost(rest), 0))

    # A shorter band at the end may wait for the drain before it.
    waits = np.where((rest > 0) & (full > 0), np.maximum(drain(bands) - compute(rest), 0), 0)
    return np.maximum(all_of(compute) + waits + drain(last), compute(bands) + all_of(drain))


def choose(core, mappings, band=None):
    """The fastest of the ``mappings``, each a :class:`~systolith.compiler.tiling.mappings.Mapping`
    and the most lines that it can take, as (way, band).

    What promises the most is tried first, by the model of cycles, until nothing promises more.
    """
    trials = []
    for order, (mapping, most) in enumerate(mappings):
        bounds = band_bounds(core, mapping.lines, mapping.shape.out_width, mapping.row_tiles,
                             mapping.passes, most,
                             mapping.trail, mapping.short_acc) + _reloads(core, mapping,
                                                                          np.arange(1, most + 1))
        bands = (np.argsort(bounds, kind="stable")[:TRIALS] + 1 if band is None
                 else [min(band, mapping.lines)])
        trials += [(max(bounds[each - 1], mapping.words), order, int(each)) for each in bands]
    best = None
    for bound, order, each in sorted(trials)[:TRIALS]:
        if best is not None and bound >= best[0]:
            break
        cost = _cycles(core, mappings[order][0], each)
        if best is None or cost < best[0]:
            best = cost, mappings[order][0], each
    return best[1:]


def _reloads(core, mapping, band):
    """Cycles that the weights of all bands take from others."""
    return core.weight_cost * core.array.rows * mapping.row_tiles * \
        mapping.passes * -(-mapping.lines // band)


@functools.lru_cache(maxsize=4)
def _model(core):
    return ConvModel(core)


def _cycles(core, mapping, band):
    """The cycles of an image."""
    model, conv = _model(core), mapping.config(band)
    beat = core.scatter_cost if mapping.scattered(core.drain_lanes) else 0
    bands = -(-mapping.lines // band)

    def of(count):  # that many bands, from the top
        lines = conv["y_origin"] + count * band * conv["y_step"] + mapping.shape.span(0)
        return model.run(conv | {"y_count": count * band - 1, "lines": min(lines, conv["lines"])},
                         beat, short_acc=mapping.short_acc).cycles

    if bands <= 2 * BANDS:
        cycles = model.run(conv, beat, short_acc=mapping.short_acc).cycles
    else:
        cycles = of(BANDS) + (of(2 * BANDS) - of(BANDS)) * (bands - BANDS) / BANDS
    return cycles + _reloads(core, mapping, band)
