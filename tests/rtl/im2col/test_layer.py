"""Any geometry through the compiled im2col unit: builds are few, layers many."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.im2col import ConvShape, Im2col, Im2colParams
from sim.compiled import CompiledSim
from sim.golden.im2col import fir_vectors, im2col_vectors, raster_words

BUILDS = {
    "1": Im2colParams(rows=1, buffer_bytes=4096, max_lines=32),
    "4": Im2colParams(rows=4, buffer_bytes=4096, max_lines=32, fir=True),
    "9": Im2colParams(rows=9, buffer_bytes=4096, max_lines=32, output_register=True),
    "8 in words of 16": Im2colParams(rows=8, word_bytes=16, buffer_bytes=4096, max_lines=32,
                                     vector_bytes=12, fir=True, output_register=True),
}


@functools.cache
def compiled(build):
    return CompiledSim(Im2col(BUILDS[build]))


@st.composite
def shapes(draw, depthwise):
    def number(low, high):
        return draw(st.integers(low, high))

    groups = number(1, 3)
    kernel = number(1, 5), number(1, 5)
    dilation = number(1, 3), number(1, 3)
    padding = ((number(0, 3), number(0, 3)), (number(0, 3), number(0, 3)))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, span - sum(pads)) for span, pads in zip(spans, padding, strict=True)]
    channels = number(1, 20) if depthwise else groups * number(1, 6)
    return ConvShape(
        height=number(least[0], least[0] + 6), width=number(least[1], least[1] + 6),
        channels=channels, kernel=kernel, stride=(number(1, 3), number(1, 3)), dilation=dilation,
        padding=padding, groups=channels if depthwise else groups, images=number(1, 3))


def emit(build, images, fields, count, seed, go):
    sim = compiled(build)
    sim.reset()
    sim.stall(seed, go)
    words = raster_words(images, BUILDS[build].word_bytes)
    sim.push("i", words)
    sim.push("config", {name: np.array([value]) for name, value in fields.items()})
    sim.run({"o": count, "config": 1, "i": len(words)}, cycles=2_000_000)
    return sim.pull("o")


@pytest.mark.parametrize("build", BUILDS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_patches(build, data):
    shape = data.draw(shapes(depthwise=False))
    band, tiles = data.draw(st.integers(1, shape.out_height)), data.draw(st.integers(1, 2))
    pad, seed = data.draw(st.integers(-128, 127)), data.draw(st.integers(0, 99))
    go = data.draw(st.sampled_from([0.3, 0.8, 1.0]))
    params = BUILDS[build]
    images = np.random.default_rng(seed).integers(
        -128, 128, (shape.images, shape.height, shape.width, shape.channels)).astype(np.int8)
    vectors = im2col_vectors(
        images, kernel=shape.kernel, stride=shape.stride, dilation=shape.dilation,
        padding=shape.padding, groups=shape.groups, rows=params.rows, band=band, tiles=tiles,
        pad=pad)
    o = emit(build, images, shape.config(params, band=band, tiles=tiles, pad=pad), len(vectors),
             seed, go)
    np.testing.assert_array_equal(o["data"][:, :params.rows], vectors)
    row_tiles = shape.row_tiles(params.rows)
    ends = np.flatnonzero(o["last"])
    assert o["keep"].all() and (np.flatnonzero(o["first"]) == [0, *ends[:-1] + 1]).all()
    assert len(ends) % row_tiles == 0
    assert o["start"][ends].tolist() == [index % row_tiles == 0 for index in range(len(ends))]
    assert o["done"][ends].tolist() == [(index + 1) % row_tiles == 0 for index in range(len(ends))]


@pytest.mark.parametrize("build", [build for build, params in BUILDS.items() if params.fir])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_fir(build, data):
    shape = data.draw(shapes(depthwise=True))
    band, taps = data.draw(st.integers(1, shape.out_height)), data.draw(st.integers(1, 4))
    pad, seed = data.draw(st.integers(-128, 127)), data.draw(st.integers(0, 99))
    go = data.draw(st.sampled_from([0.3, 0.8, 1.0]))
    params = BUILDS[build]
    images = np.random.default_rng(seed).integers(
        -128, 128, (shape.images, shape.height, shape.width, shape.channels)).astype(np.int8)
    vectors, keep = fir_vectors(
        images, kernel=shape.kernel, stride=shape.stride, dilation=shape.dilation,
        padding=shape.padding, taps=taps, cols=params.vector_bytes, band=band, pad=pad)
    o = emit(build, images,
             shape.config(params, band=band, pad=pad, fir_taps=taps, cols=params.vector_bytes),
             len(vectors), seed, go)
    assert (o["keep"] == keep).all() and o["fir"].all()
    # In the last group only the channels that there are count.
    groups = -(-shape.channels // params.vector_bytes)
    per_pass = o["last"].cumsum() - o["last"]
    tiles = np.prod(shape.fir_phases(taps)[:2]) * shape.kernel[0]
    group = per_pass // tiles % groups
    exists = group[:, None] * params.vector_bytes + np.arange(params.vector_bytes) < shape.channels
    np.testing.assert_array_equal(np.where(exists, o["data"], 0), np.where(exists, vectors, 0))
