# amaranth: UnusedElaboratable=no
import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.array import SystolicArray
from rtl.params import ArrayParams
from sim.golden.array import fir_tile, tile
from sim.streams import send, stalls


def run(params, tiles, *, p_vectors=1.0, p_weights=1.0, seed=0, **kwargs):
    """Run (vectors, weights, fir) tiles; returns sums, tags and the cycle of each of them."""
    dut = SystolicArray(params, tag_shape=16, **kwargs)
    vectors, tag = [], 0
    for x, _, fir in tiles:
        for index, row in enumerate(np.pad(x, ((0, 0), (0, params.vector_bytes - x.shape[1])))):
            vectors.append({"data": row.tolist(), "first": index == 0, "fir": fir, "tag": tag})
            tag += 1
    rows = [row for _, w, _ in tiles
            for row in np.pad(w, ((0, params.rows - len(w)), (0, 0))).tolist()]
    sums, tags, accepted = [], [], []

    coin = stalls(seed, p_vectors)
    sent = 0

    def go():  # the vectors of a FIR tile come without a gap
        nonlocal sent
        vector = vectors[sent]
        ready = (vector["fir"] and not vector["first"]) or coin()
        sent += ready
        return ready

    async def source(ctx):
        await send(ctx, dut.i, vectors, go)
        for _ in range(dut.latency + 1):
            await ctx.tick()

    async def weights(ctx):
        await send(ctx, dut.weights, rows, stalls(seed + 1, p_weights))

    async def observe(ctx):
        cycle = 0
        async for *_, i, o, payload, t, tag in ctx.tick().sample(
                dut.i.valid & dut.i.ready, dut.o.valid, dut.o.payload, dut.tags.valid,
                dut.tags.payload):
            accepted.extend([cycle] if i else [])
            sums.extend([(cycle, list(payload))] if o else [])
            tags.extend([(cycle, tag)] if t else [])
            cycle += 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(source)
    sim.add_testbench(weights)
    sim.add_testbench(observe, background=True)

    async def watchdog(ctx):
        for _ in range(20_000):
            await ctx.tick()
        raise TimeoutError
    sim.add_testbench(watchdog, background=True)
    sim.run()
    assert len(sums) == len(vectors) == len(tags)
    assert [tag for _, tag in tags] == list(range(len(vectors)))
    assert [cycle for cycle, _ in sums] == [cycle + dut.latency for cycle in accepted]
    assert [cycle for cycle, _ in tags] == [cycle + dut.latency - dut.lead for cycle in accepted]
    return dut, accepted, np.array([row for _, row in sums])


def int8(rng, *shape):
    x = rng.integers(-128, 128, shape)
    x[rng.random(shape) < 0.2] = -128
    return x


@pytest.mark.parametrize("rows, cols, products", [
    (1, 1, (("generic", None),)),
    (4, 4, (("mac16", None),)),
    (3, 5, (("dsp2", 4), ("lut", None))),
    (8, 8, (("dsp2", 40), ("lut", 8), ("dsp", None))),
    (5, 2, (("lut", None),)),
    (2, 7, (("dsp", None),)),
])
@pytest.mark.parametrize("p_vectors, p_weights", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.4), (0.6, 0.6)])
def test_tiles(rows, cols, products, p_vectors, p_weights):
    rng = np.random.default_rng([rows, cols])
    params = ArrayParams(rows=rows, cols=cols, products=products)
    lengths = [1, 2, rows, rows + cols, 17, 1, 1]
    tiles = [(int8(rng, n, rows), int8(rng, rows, cols), 0) for n in lengths]
    tiles.append((np.full((3, rows), -128), np.full((rows, cols), -128), 0))
    *_, sums = run(params, tiles, p_vectors=p_vectors, p_weights=p_weights, lead=2)
    np.testing.assert_array_equal(sums, np.concatenate([tile(x, w) for x, w, _ in tiles]))


@pytest.mark.parametrize("rows, cols, fir_rows, products", [
    (4, 4, 3, (("mac16", None),)),
    (8, 8, 3, (("dsp2", 40), ("lut", None))),
    (3, 6, 3, (("generic", None),)),
    (6, 3, 1, (("generic", None),)),
])
@pytest.mark.parametrize("p_vectors, p_weights", [(1.0, 1.0), (0.6, 0.5)])
def test_fir_among_ordinary_tiles(rows, cols, fir_rows, products, p_vectors, p_weights):
    rng = np.random.default_rng([rows, cols, fir_rows])
    params = ArrayParams(rows=rows, cols=cols, fir_rows=fir_rows, products=products)
    tiles, expected = [], []
    for fir in (0, 1, 1, 0, 1, 0, 0, 1):
        x = int8(rng, 16, cols if fir else rows)
        w = int8(rng, int(rng.integers(1, fir_rows + 1)) if fir else rows, cols)
        tiles.append((x, w, fir))
        sums = np.zeros((16, cols), np.int64)
        good = fir_tile(x, w) if fir else tile(x, w)
        sums[:len(good)] = good
        expected.append((len(good), sums))
    *_, sums = run(params, tiles, p_vectors=p_vectors, p_weights=p_weights)
    kept = 0
    for index, (count, good) in enumerate(expected):
        np.testing.assert_array_equal(sums[16 * index:16 * index + count], good[:count])
        kept += count
    assert kept > 16 * 6


@pytest.mark.parametrize("rows, cols", [(1, 1), (8, 8), (4, 12), (12, 4), (3, 3)])
def test_tiles_follow_without_a_bubble(rows, cols):
    rng = np.random.default_rng(0)
    params = ArrayParams(rows=rows, cols=cols)
    length = SystolicArray(params).min_tile
    tiles = [(int8(rng, length, rows), int8(rng, rows, cols), 0) for _ in range(6)]
    _, accepted, _ = run(params, tiles)
    assert accepted == list(range(accepted[0], accepted[0] + 6 * length))


def test_min_tile_is_kept():
    rng = np.random.default_rng(0)
    tiles = [(int8(rng, 1, 1), int8(rng, 1, 1), 0) for _ in range(6)]
    dut, accepted, _ = run(ArrayParams(rows=1, cols=1), tiles, min_tile=4)
    assert dut.min_tile == 4
    assert np.diff(accepted).tolist() == [4] * 5


@pytest.mark.parametrize("changes, error, message", [
    ({"rows": 0}, ValueError, "rows must be between 1 and 32, not 0"),
    ({"rows": 33}, ValueError, "rows must be between 1 and 32, not 33"),
    ({"cols": -1}, ValueError, "cols must be between 1 and 32, not -1"),
    ({"cols": 4.0}, TypeError, "cols must be an integer, not 4.0"),
    ({"fir_rows": 5}, ValueError, "fir_rows must be between 0 and 4, not 5"),
    ({"products": (("alu", None),)}, ValueError, "products must be of the kinds .*, not 'alu'"),
    ({"products": (("lut", 3),)}, ValueError,
     "products must fill 4 x 4 with 0 FIR rows; none is left for row 3, column 2"),
    ({"fir_rows": 1, "products": (("dsp2", None),)}, ValueError,
     "products must fill 4 x 4 with 1 FIR rows; none is left for row 0, column 0"),
])
def test_refuses(changes, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        ArrayParams(**({"rows": 4, "cols": 4} | changes))
