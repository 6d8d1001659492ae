# amaranth: UnusedElaboratable=no
import numpy as np
import pytest

from rtl.im2col import ConvShape, Im2col, Im2colParams
from sim.golden.im2col import fir_vectors, im2col_vectors, raster_words
from sim.streams import receive, send, simulate, stalls


def run(params, shape, *, band, tiles=1, pad=0, fir_taps=0, seed=0, p_in=1.0, p_out=1.0):
    """Run one layer through the RTL, and again with another pad byte right behind it; returns the
    unit, what it emitted, and when."""
    rng = np.random.default_rng(seed)
    images = rng.integers(-128, 128, (shape.images, shape.height, shape.width,
                                      shape.channels)).astype(np.int8)
    pads = pad, ~pad
    fields = [shape.config(params, band=band, tiles=tiles, pad=each, fir_taps=fir_taps,
                           cols=params.vector_bytes) for each in pads]
    words = raster_words(images, params.word_bytes).tolist()
    golden = dict(kernel=shape.kernel, stride=shape.stride, dilation=shape.dilation,
                  padding=shape.padding, band=band, tiles=tiles)
    if fir_taps:
        halves = [fir_vectors(images, taps=fir_taps, cols=params.vector_bytes, pad=each, **golden)
                  for each in pads]
    else:
        halves = [(vectors, np.ones(len(vectors), bool)) for each in pads for vectors in [
            im2col_vectors(images, groups=shape.groups, rows=params.rows, pad=each, **golden)]]
    count = len(halves[0][0])
    dut = Im2col(params)
    received, cycles = [], []

    async def layer(ctx):
        await send(ctx, dut.config, fields)

    async def source(ctx):
        await send(ctx, dut.i, words + words, stalls(seed, p_in))

    async def sink(ctx):
        received.extend(await receive(ctx, dut.o, 2 * count, stalls(seed + 1, p_out)))

    async def watch(ctx):
        cycle = 0
        async for *_, taken in ctx.tick().sample(dut.o.valid & dut.o.ready):
            cycles.extend([cycle] if taken else [])
            cycle += 1

    async def run_watch(ctx):
        await watch(ctx)

    limit = 2 * (count + len(words) + 200)
    simulate(dut, layer, source, sink, watch=[dut.o], background=[run_watch],
             cycles=int(limit / min(p_in, p_out) * 2))
    assert len(received) == 2 * count
    data = np.array([list(payload.data) for payload in received])
    for half, (vectors, keep) in zip((0, count), halves, strict=True):
        channels = shape.channels % params.vector_bytes or params.vector_bytes
        got = data[half:half + count, :params.rows if not fir_taps else params.vector_bytes]
        if fir_taps and shape.channels < params.vector_bytes:
            got, vectors = got[:, :channels], vectors[:, :channels]
        elif fir_taps and shape.channels % params.vector_bytes:
            pytest.fail("use whole groups of channels here")
        np.testing.assert_array_equal(got, vectors)
        assert [p.keep for p in received[half:half + count]] == keep.tolist()
    return dut, received, cycles


def simple(**changes):
    return ConvShape(**({"height": 6, "width": 5, "channels": 3, "kernel": (3, 3),
                         "padding": ((1, 1), (1, 1))} | changes))


@pytest.mark.parametrize("p_in, p_out", [(1.0, 1.0), (0.4, 1.0), (1.0, 0.4), (0.5, 0.5)])
@pytest.mark.parametrize("rows, shape, band, tiles", [
    (4, simple(), 1, 1),
    (4, simple(stride=(2, 2), padding=((0, 1), (0, 1))), 2, 2),
    (3, simple(kernel=(1, 4), padding=((0, 0), (2, 1))), 3, 1),
    (8, simple(channels=8, groups=2, images=3), 2, 2),
    (8, simple(dilation=(2, 2), padding=((2, 2), (2, 2)), images=2), 6, 1),
    (1, simple(height=1, width=1, channels=1, kernel=(1, 1), padding=((0, 0), (0, 0)),
               images=4), 1, 1),
    (5, simple(height=9, stride=(4, 1), kernel=(1, 1), padding=((0, 0), (0, 0)), images=2), 1, 3),
    (2, simple(kernel=(2, 3), padding=((5, 3), (4, 6)), stride=(2, 3)), 2, 1),
    # A last band of padding alone, while lines of the next image come.
    (4, simple(width=1, channels=1, kernel=(2, 1), padding=((1, 7), (0, 0)), stride=(2, 1),
               images=3), 1, 1),
])
def test_vectors(rows, shape, band, tiles, p_in, p_out):
    params = Im2colParams(rows=rows, buffer_bytes=256, max_lines=32)
    run(params, shape, band=band, tiles=tiles, pad=-7, p_in=p_in, p_out=p_out)


@pytest.mark.parametrize("output_register", [False, True])
@pytest.mark.parametrize("stride, dilation, kernel, taps", [
    ((1, 1), (1, 1), (3, 3), 3),
    ((2, 2), (1, 1), (3, 3), 3),
    ((1, 1), (1, 2), (2, 3), 3),
    ((1, 1), (1, 1), (1, 8), 3),
    ((1, 3), (1, 1), (2, 7), 2),
])
def test_fir_vectors(output_register, stride, dilation, kernel, taps):
    params = Im2colParams(rows=4, fir=True, buffer_bytes=512, output_register=output_register)
    shape = ConvShape(height=5, width=9, channels=8, kernel=kernel, stride=stride, groups=8,
                      dilation=dilation, padding=((1, 1), (1, 1)))
    run(params, shape, band=2, pad=9, fir_taps=taps, p_in=0.8, p_out=0.6)


def test_one_vector_a_cycle():
    """Nothing but the pace of the first lines of input delays a vector."""
    params = Im2colParams(rows=4, buffer_bytes=4096)
    shape = ConvShape(height=8, width=8, channels=8, kernel=(3, 3), padding=((1, 1), (1, 1)))
    dut, _, cycles = run(params, shape, band=2, tiles=2)
    one_layer = cycles[:len(cycles) // 2]
    assert set(np.diff(one_layer[len(one_layer) // 8:])) == {1}
    # Three lines of 16 words, less what is emitted meanwhile.
    assert one_layer[-1] - one_layer[0] < len(one_layer) + 3 * 16


def test_next_image_comes_while_this_one_is_at_work():
    """Between images is only the time to free their lines, two cycles each."""
    params = Im2colParams(rows=4, buffer_bytes=4096)
    shape = ConvShape(height=4, width=30, channels=4, images=3)
    dut, _, cycles = run(params, shape, band=4, tiles=2)
    one_layer = cycles[:len(cycles) // 2]
    waits = np.diff(one_layer[len(one_layer) // 3:])
    assert max(waits) == 2 * shape.height + dut.latency


@pytest.mark.parametrize("output_register", [False, True])
def test_latency(output_register):
    """From the last word of a line to the first vector of it."""
    params = Im2colParams(rows=4, buffer_bytes=256, output_register=output_register)
    shape = ConvShape(height=1, width=20, channels=4)
    dut, taken, left = Im2col(params), [], []

    async def layer(ctx):
        await send(ctx, dut.config, [shape.config(params, band=1)])

    async def source(ctx):
        await send(ctx, dut.i, np.zeros((20, 4), int).tolist())

    async def sink(ctx):
        await receive(ctx, dut.o, 20)

    async def watch(ctx):
        cycle = 0
        async for *_, i, o in ctx.tick().sample(dut.i.valid & dut.i.ready, dut.o.valid):
            taken.extend([cycle] if i else [])
            left.extend([cycle] if o else [])
            cycle += 1

    simulate(dut, layer, source, sink, background=[watch])
    assert left[0] - taken[-1] == dut.latency


@pytest.mark.parametrize("width, band", [(1, 1), (1, 2), (2, 1)])
def test_tiles_shorter_than_the_walk_to_the_next(width, band):
    """Vectors wait for tiles here, and lines are given up in between: none that is needed."""
    params = Im2colParams(rows=1, buffer_bytes=4 * width, max_lines=32)
    shape = ConvShape(height=12, width=width, channels=1, kernel=(3, 1), images=3,
                      padding=((1, 1), (0, 0)))
    run(params, shape, band=band, pad=3)


def test_buffer_just_large_enough():
    params = Im2colParams(rows=4, buffer_bytes=128)
    shape = ConvShape(height=7, width=8, channels=4, kernel=(3, 3), padding=((1, 1), (1, 1)))
    run(params, shape, band=2, p_out=0.7)  # 4 lines of 32 bytes
    with pytest.raises(ValueError, match=r"^line buffer bytes \(5 lines for a band of 3\) must be "
                                         r"at most 128 in this build; the layer needs 160, 32 too "
                                         r"many$"):
        shape.config(params, band=3)
