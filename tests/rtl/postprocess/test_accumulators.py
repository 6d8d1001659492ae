# amaranth: UnusedElaboratable=no
import numpy as np
import pytest
from amaranth import *
from amaranth.lib import data

from rtl.postprocess import Accumulators
from sim.streams import receive, simulate, stalls

WIDTH = 31  #: Of the sums that come: a few of them exceed 32 bits, and wrap.


class Pass:
    """Sums (tiles, vectors, cols) of a pass; ``keep`` tells which vectors of a tile count."""

    def __init__(self, rng, tiles, keep, cols):
        self.keep = np.array(keep, bool)
        self.sums = rng.integers(-1 << WIDTH - 1, 1 << WIDTH - 1, (tiles, len(keep), cols))
        self.sums[rng.random(self.sums.shape) < 0.1] = -1 << WIDTH - 1

    def vectors(self):
        """Tag and sums of each vector, and the place of the vector in its tile."""
        tiles, count = self.sums.shape[:2]
        for tile, index in np.ndindex(tiles, count):
            tag = {"keep": int(self.keep[index]), "start": tile == 0, "last": index == count - 1,
                   "done": tile == tiles - 1}
            yield tag, self.sums[tile, index].tolist(), index

    def beats(self, drain_lanes, width):
        """What drains: (lanes of a channel group, last) for each group, for each pixel."""
        top = 1 << width - 1
        totals = (self.sums[:, self.keep].sum(axis=0) + top) % (2 * top) - top
        for group in range(0, totals.shape[1], drain_lanes):
            for pixel, total in enumerate(totals):
                yield total[group:group + drain_lanes].tolist(), pixel == len(totals) - 1


def build(*, cols=4, drain_lanes=2, depth=12, output_register=False, width=32):
    return Accumulators(cols=cols, depth=depth, drain_lanes=drain_lanes,
                        output_register=output_register,
                        width=width, sums=data.ArrayLayout(signed(WIDTH), cols))


def run(dut, passes, *, p_vector=1.0, p_ready=1.0, p_claim=1.0, seed=0):
    """Cycles of the last tag of each pass, of each beat, and of each claim."""
    completed, taken, claims = [], [], []
    expected = [beat for part in passes for beat in part.beats(dut.drain_lanes, dut.width)]
    claimed = 0
    cycle = 0

    async def claim(ctx):
        nonlocal claimed
        go = stalls(seed + 2, p_claim)
        while claimed < len(passes):
            now = ctx.get(dut.free) and go()
            ctx.set(dut.claim, now)
            await ctx.tick()
            ctx.set(dut.claim, 0)
            claims.extend([cycle] * now)
            claimed += now

    async def vectors(ctx):
        """A tag in a cycle, and the sums that belong to the one ``lead`` cycles before."""
        nonlocal cycle
        go = stalls(seed, p_vector)
        waiting = [(number, *vector) for number, part in enumerate(passes)
                   for vector in part.vectors()]
        due, seen = {}, {}
        while waiting or due:
            number, tag, sums, index = waiting[0] if waiting else (None,) * 4
            offer = (bool(waiting) and number < claimed and go()
                     and cycle - seen.get(index, -100) >= dut.min_tile)
            ctx.set(dut.tags.valid, offer)
            if offer:
                waiting.pop(0)
                ctx.set(dut.tags.payload, tag)
                due[cycle + dut.lead], seen[index] = sums, cycle
                completed.extend([cycle] * (tag["last"] and tag["done"]))
            ctx.set(dut.i.valid, cycle in due)
            ctx.set(dut.i.payload, due.pop(cycle, [0] * dut.cols))
            await ctx.tick()
            cycle += 1
        ctx.set(dut.i.valid, 0)

    async def drain(ctx):
        beats = await receive(ctx, dut.o, len(expected), stalls(seed + 1, p_ready))
        assert [(list(beat.acc), beat.last) for beat in beats] == expected
        assert ctx.get(dut.idle) and ctx.get(dut.free)

    async def watch(ctx):
        now = 0
        async for *_, beat in ctx.tick().sample(dut.o.valid & dut.o.ready):
            taken.extend([now] if beat else [])
            now += 1

    simulate(dut, claim, vectors, drain, watch=[dut.o], background=[watch])
    assert len(taken) == len(expected)
    return completed, taken, claims


def random_passes(rng, dut, count):
    for _ in range(count):
        kept = int(rng.choice([1, 2, dut.depth, rng.integers(1, dut.depth + 1)]))
        lines = [1] * kept + [0] * int(rng.integers(0, 4))
        yield Pass(rng, int(rng.integers(1, 5)), rng.permutation(lines), dut.cols)


@pytest.mark.parametrize("p_vector, p_ready, p_claim", [
    (1.0, 1.0, 1.0), (0.5, 1.0, 0.5), (1.0, 0.4, 1.0), (0.6, 0.6, 0.3)])
@pytest.mark.parametrize("output_register", [False, True])
@pytest.mark.parametrize("cols, drain_lanes, depth", [(4, 2, 12), (1, 1, 2), (3, 1, 5), (6, 6, 8)])
def test_passes(cols, drain_lanes, depth, output_register, p_vector, p_ready, p_claim):
    rng = np.random.default_rng([cols, drain_lanes, depth])
    dut = build(cols=cols, drain_lanes=drain_lanes, depth=depth, output_register=output_register)
    passes = list(random_passes(rng, dut, 12))
    run(dut, passes, p_vector=p_vector, p_ready=p_ready, p_claim=p_claim, seed=cols)


@pytest.mark.parametrize("width, cols, drain_lanes", [(24, 4, 1), (17, 3, 3)])
def test_narrow_sums(width, cols, drain_lanes):
    rng = np.random.default_rng(width)
    dut = build(cols=cols, drain_lanes=drain_lanes, width=width)
    run(dut, list(random_passes(rng, dut, 8)), p_vector=0.7, p_ready=0.6)


@pytest.mark.parametrize("output_register", [False, True])
def test_latency_and_throughput(output_register):
    dut = build(output_register=output_register)
    assert (dut.lead, dut.latency) == ((2, 8) if output_register else (1, 6))
    [completed], taken, _ = run(dut, [Pass(np.random.default_rng(0), 3, [1] * 7, 4)])
    assert taken[0] == completed + dut.latency
    assert taken == list(range(taken[0], taken[0] + 2 * 7))


def test_fills_while_it_drains():
    """Two halves: a vector a cycle goes in while a beat a cycle comes out."""
    dut = build(drain_lanes=4)
    rng = np.random.default_rng(0)
    passes = [Pass(rng, 2, [1] * 12, 4) for _ in range(6)]
    completed, taken, _ = run(dut, passes)
    assert np.diff(completed).tolist() == [24] * 5
    assert taken[-1] - taken[0] < 5 * 24 + 12


def test_claims_wait_for_a_free_half():
    dut = build(drain_lanes=1)
    rng = np.random.default_rng(0)
    passes = [Pass(rng, 1, [1] * 12, 4) for _ in range(5)]
    _, taken, claims = run(dut, passes)
    for number in range(3):
        assert claims[number + 2] > taken[48 * (number + 1) - 1]


@pytest.mark.parametrize("changes, error, message", [
    ({"cols": 0}, ValueError, "cols must be between 1 and 32, not 0"),
    ({"depth": 1}, ValueError, "depth must be between 2 and 4096, not 1"),
    ({"depth": 4097}, ValueError, "depth must be between 2 and 4096, not 4097"),
    ({"depth": 8.0}, TypeError, "depth must be an integer, not 8.0"),
    ({"drain_lanes": 5}, ValueError, "drain_lanes must be between 1 and 4, not 5"),
    ({"drain_lanes": 3}, ValueError, "drain_lanes must divide the 4 columns, not be 3"),
])
def test_refuses(changes, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        build(**changes)


@pytest.mark.parametrize("sums", [
    data.ArrayLayout(signed(20), 7), data.ArrayLayout(unsigned(20), 8), signed(160)],
    ids=["too few", "unsigned", "no array"])
def test_there_is_a_sum_for_each_column(sums):
    with pytest.raises(ValueError, match="^sums must be an array of 8 signed numbers, one "):
        Accumulators(cols=4, pixel_lanes=2, depth=12, sums=sums)
