"""Loops of a configuration against the shape that it was made of."""

import pytest

from rtl.im2col import ConvShape, Im2colParams
from systolith.compiler.cost.conv_loops import ConvLoops


@pytest.mark.parametrize("pixel_lanes", [1, 3])
@pytest.mark.parametrize("band", [1, 4, 20])
def test_bands(band, pixel_lanes):
    params = Im2colParams(rows=4, pixel_lanes=pixel_lanes)
    shape = ConvShape(height=20, width=11, channels=8, kernel=(3, 2), stride=(2, 1),
                      dilation=(2, 1), padding=((2, 1), (0, 0)))
    loops = ConvLoops.of(shape.config(params, band=band, tiles=5), pixel_lanes)
    lines = shape.lane_lines(pixel_lanes)
    assert (loops.passes, loops.tiles) == (5, shape.row_tiles(4))
    assert loops.kernel == (0, 2, 4)
    assert loops.lane_steps == tuple(range(0, 2 * pixel_lanes, 2))
    bands = list(loops.bands)
    assert [each.lines for each in bands] == [
        min(band, lines - top) for top in range(0, lines, band)]
    assert sum(each.vectors for each in bands) == lines * shape.out_width
    assert sum(each.pixels for each in bands) == lines * shape.out_width * pixel_lanes
    # Each lane takes every so manieth line, from the padding on.
    tops = [top for each in bands for top in each.tops]
    assert tops == [-2 + 2 * pixel_lanes * line for line in range(lines)]
    assert [each.keep_from for each in bands[:-1]] == [each.tops[0] for each in bands[1:]]


def test_vectors_that_only_end_a_filter_have_no_pixels():
    params = Im2colParams(rows=4, vector_bytes=4, fir=True)
    shape = ConvShape(height=5, width=9, channels=6, kernel=(3, 3), groups=6)
    loops = ConvLoops.of(shape.config(params, band=2, fir_taps=3, cols=4), 1)
    assert loops.trail == 2
    assert [(each.vectors, each.pixels) for each in loops.bands] == [(18, 14), (9, 7)]
