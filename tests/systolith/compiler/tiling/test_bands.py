# amaranth: UnusedElaboratable=no
"""Bounds of bands, and the choice among mappings, against the model of cycles."""

import numpy as np
import pytest

from rtl.conv2d import Conv2d
from rtl.params import ArrayParams
from systolith.compiler.cost.convolution import ConvModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.bands import band_bounds, choose
from systolith.compiler.tiling.mappings import mappings_of
from tests.support.layers import image, random_layer

MACHINES = {
    "4x4": Machine.of_core(Conv2d(ArrayParams(rows=4, cols=4, fir_rows=3), depth=64, drain_lanes=2,
                                  output_register=True, buffer_bytes=4096)),
    "serial": Machine.of_core(Conv2d(ArrayParams(rows=3, cols=4), depth=48, requantize=3,
                                     buffer_bytes=4096)),
    "2 of 3x2": Machine.of_core(Conv2d(ArrayParams(rows=3, cols=2), depth=50, pixel_lanes=2,
                                       buffer_bytes=4096)),
}
LAYERS = {
    "3x3": (image(12, 12, 5, (3, 3), 1), 7),
    "first layer": (image(12, 10, 3, (3, 3), 1, stride=(2, 2)), 8),
    "depthwise": (image(9, 14, 6, (3, 3), 1, groups=6), 6),
    "1x1": (image(8, 8, 24), 16),
    "short tiles": (image(3, 2, 40), 24),
    "strides": (image(16, 9, 6, (3, 3), 1, stride=(2, 2)), 5),
}


def cycles(mapping, band):
    model = ConvModel(mapping.machine)
    beat = mapping.machine.scatter_cycles if mapping.scattered else 0
    return model.run(mapping.config(band), beat=beat, short_acc=mapping.short_acc).cycles


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("layer", LAYERS)
def test_chooses_the_fastest_of_all(machine, layer):
    machine, (shape, filters) = MACHINES[machine], LAYERS[layer]
    mappings = mappings_of(machine, random_layer(np.random.default_rng(0), shape, filters))
    best = min(cycles(mapping, band)
               for mapping, longest in mappings for band in range(1, longest + 1))
    assert cycles(*choose(mappings)) <= (1.02 if machine.requantize > 1 else 1) * best


@pytest.mark.parametrize("machine", ["4x4", "2 of 3x2"])
def test_tries_more_than_what_promises_the_most(machine):
    """Bounds know nothing of how input comes, line by line: here the least one is not the best."""
    layer = random_layer(np.random.default_rng(0), image(8, 10, 15, (1, 1), 1, stride=(2, 2)), 12)
    mappings = mappings_of(MACHINES[machine], layer)
    best = min(cycles(mapping, band)
               for mapping, longest in mappings for band in range(1, longest + 1))
    assert cycles(*choose(mappings)) == best


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("layer", LAYERS)
def test_bounds_are_near_what_bands_take(machine, layer):
    machine, (shape, filters) = MACHINES[machine], LAYERS[layer]
    for mapping, longest in mappings_of(
            machine, random_layer(np.random.default_rng(0), shape, filters)):
        bounds = band_bounds(
            machine, lines=mapping.lines, width=mapping.shape.out_width,
            row_tiles=mapping.row_tiles, passes=mapping.passes, most=longest, trail=mapping.trail)
        assert len(bounds) == longest
        # With a serial requantizer a drain is a little shorter than they have it.
        most = 1.05 if machine.requantize > 1 else 1
        for band, bound in enumerate(bounds, 1):
            assert 0.75 < bound / cycles(mapping, band) <= most


def test_keeps_to_the_lines_that_are_asked_for():
    shape, filters = LAYERS["3x3"]
    mappings = mappings_of(MACHINES["4x4"], random_layer(np.random.default_rng(0), shape, filters))
    mapping, band = choose([each for each in mappings if each[1] >= 2], 2)
    assert band == 2 and mapping in [each for each, _ in mappings]
