# amaranth: UnusedElaboratable=no
"""One unit that walks all loops, against plain loops; and a build of the accelerator with it."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from boards.builds import up5k_build
from rtl.accelerator import descriptor_of, descriptor_words
from rtl.accelerator.dma.activation_writer import BANDS, LINES
from rtl.accelerator.dma.shared_address_generator import SharedAddressGenerator, loop_nests
from rtl.accelerator.registers import Error, Window
from rtl.im2col import ConvShape
from rtl.im2col.tiles import TileGenerator
from sim.streams import receive, simulate, stalls
from systolith.compiler import compile_graph
from systolith.compiler.codegen.loop_nests import loops, shared_loop_nests
from systolith.compiler.codegen.program import packed
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.digits import held_out, model_bytes

BUILD = up5k_build()
MOVED = "fetch", "store", "weights", "params"


def drawn(rng, walk):
    """Loops that stay within the memory, as a build with parallel walkers has them."""
    counts = [rng.choice([1, 1, 2, 3, 4]) for _ in range(walk.dims)]
    size = 1 << walk.address_bits
    steps = [rng.randint(-size // 200, size // 200) for _ in counts]
    low = sum(min((n - 1) * step, 0) for n, step in zip(counts, steps, strict=True))
    high = sum(max((n - 1) * step, 0) for n, step in zip(counts, steps, strict=True))
    return {"base": rng.choice([-low, size - 1 - high, rng.randint(-low, size - 1 - high)]),
            "loops": [{"count": 1 - n, "step": step}
                      for n, step in zip(counts, steps, strict=True)],
            **({"tail": 1 - rng.randint(1, counts[LINES])} if walk.tail else {})}


def addresses(walk):
    """Addresses by plain loops, and after each but the last one the outermost loop that is over."""
    counts = [1 - loop["count"] for loop in walk["loops"]]
    found, last = [], None
    for indices in itertools.product(*map(range, reversed(counts))):
        index = indices[::-1]
        if "tail" in walk and index[BANDS] == counts[BANDS] - 1 and index[LINES] > -walk["tail"]:
            continue
        found.append((walk["base"] + sum(n * loop["step"] for n, loop in zip(
            index, walk["loops"], strict=True)), index))
    carried = []
    for (_, last), (_, now) in itertools.pairwise(found):
        stepped = max(n for n in range(len(now)) if now[n] != last[n])
        carried += [(1 << stepped) - 1] if stepped else []
    return [address for address, _ in found], carried


async def load(ctx, dut, fields):
    """Write a descriptor's words, and begin."""
    fields = shared_loop_nests(BUILD, fields)
    words = packed(descriptor_of(BUILD), fields, descriptor_words(BUILD)).tolist()
    for number, word in enumerate(words[:dut.words]):
        ctx.set(dut.write, 1)
        ctx.set(dut.number, number)
        ctx.set(dut.word, word)
        await ctx.tick()
    ctx.set(dut.write, 0)
    ctx.set(dut.several, fields["several"])
    ctx.set(dut.init, {name: int(name != "tiles" or "conv" in fields) for name in dut.nests})
    if "conv" in fields:
        ctx.set(dut.band, fields["conv"]["band"])
        ctx.set(dut.last_band, fields["conv"]["last_band"])
    await ctx.tick()
    ctx.set(dut.init, dict.fromkeys(dut.nests, 0))


@pytest.mark.parametrize("go", [1.0, 0.4])
def test_walks_as_nested_loops(go):
    dut, rng = SharedAddressGenerator(BUILD), random.Random(go)
    shapes, carried = loop_nests(BUILD), []

    async def bench(ctx):
        for trial in range(12):
            walks = {name: drawn(rng, shapes[name]) for name in ("fetch", "store")}
            sequences = {name: {"base": rng.randrange(100), "count": rng.choice([0, 5, 11, 23]),
                                "repeats": rng.randrange(3), "used": rng.random() < 0.8}
                         for name in ("weights", "params")}
            await load(ctx, dut, {"fetch": walks["fetch"], "store": {"walk": walks["store"]},
                                  **sequences})
            want = {name: addresses(walk)[0] for name, walk in walks.items()} | {
                name: [each["base"] + n for _ in range(each["repeats"] + 1)
                       for n in range(each["count"] + 1)] if each["used"] else []
                for name, each in sequences.items()}
            carried.clear()
            left = {name: list(want[name]) for name in MOVED}
            coins = {name: stalls(f"{trial}{name}", go) for name in left}
            while any(left.values()):
                streams = [getattr(dut, name) for name in left]
                for name, stream in zip(left, streams, strict=True):
                    ctx.set(stream.ready, coins[name]())
                _, _, now, *seen = await ctx.tick().sample(
                    dut.carried, *(each.valid & each.ready for each in streams),
                    *(each.payload for each in streams))
                carried.extend([now] if now else [])
                for rest, done, place in zip(left.values(), seen[:4], seen[4:], strict=True):
                    if done:
                        assert not place["outside"] and place["address"] == rest.pop(0)
                        assert place["last"] == (not rest)
            assert carried == addresses(walks["store"])[1]
            for _ in range(4):
                await ctx.tick()
            assert ctx.get(dut.busy.as_value()) == 0

    simulate(dut, bench, cycles=60_000)


@pytest.mark.parametrize("shape, options", [
    (ConvShape(height=9, width=7, channels=8, kernel=(3, 3), padding=((1, 1), (1, 1))),
     {"band": 4, "tiles": 3}),
    (ConvShape(height=8, width=8, channels=12, kernel=(3, 2), stride=(2, 1), dilation=(1, 2),
               groups=3), {"band": 2}),
    (ConvShape(height=6, width=9, channels=10, kernel=(3, 5), stride=(1, 2), groups=10, fill=2,
               padding=((1, 1), (2, 2))), {"band": 3, "fir_taps": 3, "cols": 4}),
    (ConvShape(height=1, width=1, channels=3), {"band": 1}),
    (ConvShape(height=40, width=2, channels=64), {"band": 7, "tiles": 5}),
])
def test_tiles_as_their_own_walker_has_them(shape, options):
    params = replace(BUILD.im2col, shared_agu=False)
    conv, go = shape.config(params, **options), stalls("tiles", 0.5)
    plain, dut, want = TileGenerator(params), SharedAddressGenerator(BUILD), []

    async def reference(ctx):
        ctx.set(plain.config, conv)
        ctx.set(plain.init, 1)
        await ctx.tick()
        ctx.set(plain.init, 0)
        while not ctx.get(plain.over):
            ctx.set(plain.o.ready, 1)
            *_, valid, tile = await ctx.tick().sample(plain.o.valid, plain.o.payload)
            want.extend([tile] if valid else [])

    async def bench(ctx):
        await load(ctx, dut, {
            "conv": conv, "store": {"walk": loops(base=0)}, "fetch": loops(base=0),
            **dict.fromkeys(("weights", "params"), {"base": 0, "count": 0, "repeats": 0,
                                                    "used": 0})})
        assert await receive(ctx, dut.tiles, len(want), go) == want
        assert ctx.get(dut.busy.tiles) == 0

    simulate(plain, reference)
    assert len(want) == shape.row_tiles(4) * options.get("tiles", 1) * shape.groups * -(
        -shape.out_height // options["band"]) or "cols" in options
    simulate(dut, bench, watch=[dut.tiles])


def test_outside_addresses_are_told():
    dut, shapes = SharedAddressGenerator(BUILD), MOVED
    fields = {"fetch": {"base": 3, "loops": [{"count": -1, "step": -4}]},
              "store": {"walk": {"base": (1 << 17) - 2, "loops": [{"count": -3, "step": 1}]}},
              "weights": {"base": 0, "count": 0, "repeats": 0, "used": 0},
              "params": {"base": (1 << 15) - 1, "count": 2, "repeats": 0, "used": 1}}

    async def bench(ctx):
        await load(ctx, dut, fields)
        seen = {name: [] for name in shapes}
        for _ in range(30):
            for name, outside in seen.items():
                stream = getattr(dut, name)
                told = ctx.get(stream.valid) and ctx.get(stream.payload.outside)
                outside += [told] if ctx.get(stream.valid) else []
                ctx.set(stream.ready, not told)
            await ctx.tick()
        assert {name: (each.count(0), any(each)) for name, each in seen.items()} == {
            "fetch": (1, True), "store": (2, True), "weights": (0, False), "params": (1, True)}

    simulate(dut, bench)


@pytest.mark.parametrize("changes", [
    {"single_memory": False}, {"pooling": True}, {"prefetch": True}, {"pixel_lanes": 2},
    {"activation_bytes": 1 << 18}])
def test_refuses(changes):
    with pytest.raises(ValueError, match=(
            r"^shared_agu needs a single memory of up to 128 KiB, one pixel lane, and neither "
            r"pooling nor prefetch$")):
        replace(BUILD, **changes)


def test_any_program_ends():
    """Bits flipped at random in a good program: it ends, and the next good run is exact."""
    build = replace(BUILD, activation_bytes=1 << 14, stall_timeout=1024, layer_timeout=1 << 15)
    graph, x = read_tflite(model_bytes()), held_out().images[:1]
    program, want = compile_graph(graph, build), run_graph(graph, x)
    simulated = SimulatedAccelerator(build)
    rng, words, seen = np.random.default_rng(5), descriptor_words(build), set()
    for _ in range(60):
        simulated.load(program)
        simulated.run(x)
        raw = program.descriptors.copy()
        for _ in range(rng.integers(1, 4)):
            layer, bit = rng.integers(len(program.layers)), rng.integers(descriptor_of(build).size)
            raw[layer * words + bit // 32] ^= np.uint32(1 << bit % 32)
        simulated.write(Window.ACTIVATIONS, raw[:, None], base=program.areas[Window.PROGRAM])
        before = simulated.sim.cycle
        seen.add(simulated.attempt(program.areas[Window.PROGRAM]))
        assert simulated.sim.cycle - before < len(program.layers) * (build.layer_timeout + 1000)
        simulated.load(program)
        run = simulated.run(x)
        for index in graph.outputs:
            np.testing.assert_array_equal(run.values[index], want[index])
    assert {Error.NONE, Error.STORE, Error.PARAMS, Error.STALL} <= seen, seen
