# amaranth: UnusedElaboratable=no
"""Which ways there are for a layer, and that all of them compute the same."""

import numpy as np
import pytest

from rtl.conv2d import Conv2d
from rtl.params import ArrayParams
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.folding import fold_images, fold_shape
from systolith.compiler.tiling.mappings import mappings_of
from tests.support.layers import image, random_layer

MACHINE = Machine.of_core(Conv2d(ArrayParams(rows=8, cols=4, fir_rows=3), drain_lanes=2,
                                 buffer_bytes=4096))


def ways(shape, filters, machine=MACHINE, **options):
    layer = random_layer(np.random.default_rng(0), shape, filters)
    return [("fir" if mapping.fir else "folded" if mapping.folded else "plain", mapping.transposed)
            for mapping, _ in mappings_of(machine, layer, **options)]


@pytest.mark.parametrize("shape, filters, kinds", [
    (image(9, 9, 3, (3, 3), 1), 4, ["folded", "plain"]),
    (image(9, 9, 3, (3, 3), 1, dilation=(2, 2)), 4, ["plain"]),  # no runs of bytes
    (image(9, 9, 8, (3, 3), 1), 4, ["plain"]),                   # wide pixels
    (image(9, 9, 3), 4, ["plain"]),
    (image(9, 9, 6, (3, 3), 1, groups=6), 6, ["plain", "fir"]),
    (image(9, 9, 6, (3, 3), 1, groups=2), 6, ["plain"]),
])
def test_ways_of_a_layer(shape, filters, kinds):
    assert ways(shape, filters) == [(kind, transposed) for transposed in (False, True)
                                    for kind in kinds]
    assert ways(shape, filters, fold=False, transpose=False) == [
        (kind, False) for kind in kinds if kind != "folded"]


def test_a_machine_without_fir_has_none():
    machine = Machine.of_core(Conv2d(ArrayParams(rows=8, cols=4), buffer_bytes=4096))
    assert ways(image(9, 9, 6, (3, 3), 1, groups=6), 6, machine, transpose=False) == [
        ("plain", False)]


def test_scattered_channels():
    def scattered(shape, filters):
        layer = random_layer(np.random.default_rng(0), shape, filters)
        return {mapping.fir: mapping.scattered
                for mapping, _ in mappings_of(MACHINE, layer, transpose=False)}

    assert scattered(image(9, 9, 6, (3, 3)), 7) == {False: False}
    assert scattered(image(9, 9, 6, (3, 3), groups=2), 8) == {False: False}  # two beats of two
    assert scattered(image(9, 9, 6, (3, 3), groups=2), 6) == {False: True}
    assert scattered(image(9, 9, 6, (3, 3), groups=6), 6) == {False: True, True: False}
    assert scattered(image(9, 9, 6, (3, 3), groups=6), 12) == {False: False, True: True}


def test_refuses_for_the_reason_of_the_plainest():
    with pytest.raises(ValueError, match=r"^line buffer bytes \(9 lines for a band of 1\) must be "
                                         r"at most 4096 in this build"):
        ways(image(60, 80, 8, (9, 9)), 1)


def test_folded_lines_have_what_the_kernel_covers():
    shape = image(7, 5, 2, (3, 3), 1, stride=(2, 1), dilation=(2, 1))
    images = np.random.default_rng(0).integers(-128, 128, (2, 7, 5, 2)).astype(np.int8)
    folded = fold_images(images, shape, pad=-7)
    lines = fold_shape(shape)
    assert folded.shape == (2, lines.height, lines.width, lines.channels)
    for line in range(lines.height):
        for tap in range(3):
            y = 2 * line + 2 * tap - 1
            want = images[:, y] if 0 <= y < 7 else np.full((2, 5, 2), -7)
            np.testing.assert_array_equal(folded[:, line, :, 2 * tap:2 * tap + 2], want)
