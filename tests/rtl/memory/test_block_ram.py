# amaranth: UnusedElaboratable=no
import random
import re

import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from rtl.memory import BlockRam
from sim.primitives import run

#: Depths and widths at the edges of the blocks and beyond, per family.
SHAPES = {
    "generic": [(1, 1), (8, 2), (32, 300), (5, 1025)],
    "ecp5": [(1, 1), (36, 512), (37, 512), (32, 513), (18, 1024), (20, 1024), (9, 2048), (8, 2049),
             (4, 4096), (3, 5000), (40, 1100), (36, 1500), (18, 3000), (36, 3500)],
    "ice40": [(1, 1), (16, 256), (17, 256), (16, 257), (8, 512), (4, 1024), (2, 2048), (3, 3000),
              (32, 300)],
}


def traffic(ram, seed, count=500):
    """Random ``(write_en, write_addr, write_data, read_en, read_addr)``, never on one word."""
    rng = random.Random(f"{ram.width}/{ram.depth}/{seed}")
    last = ram.depth - 1
    for _ in range(count):
        write_addr, read_addr = (rng.choice([0, last, last // 2, rng.randrange(ram.depth),
                                             rng.randrange(min(ram.depth, 4))]) for _ in range(2))
        write_en, read_en = rng.random() < 0.6, rng.random() < 0.6
        if write_en and read_en and write_addr == read_addr:
            write_en, read_en = rng.choice([(0, 1), (1, 0)])
        yield write_en, write_addr, rng.randrange(1 << ram.width), read_en, read_addr


def reads(ram, inputs):
    """The data read in each cycle: a list and two names; :data:`None` where nothing is promised."""
    words = [0] * ram.depth
    first = second = None
    for write_en, write_addr, write_data, read_en, read_addr in inputs:
        yield second if ram.output_register else first
        if read_en:
            first, second = words[read_addr], first
        if write_en:
            words[write_addr] = write_data


def pack(ram, inputs):
    widths = [len(getattr(ram, name)) for name in (
        "write_en", "write_addr", "write_data", "read_en", "read_addr")]
    for values in inputs:
        word = 0
        for value, width in zip(reversed(values), reversed(widths), strict=True):
            word = word << width | value
        yield word


@pytest.mark.parametrize("output_register", [False, True])
@pytest.mark.parametrize("family, width, depth", [
    (family, *shape) for family, shapes in SHAPES.items() for shape in shapes])
def test_random_traffic(family, width, depth, output_register):
    ram = BlockRam(width=width, depth=depth, output_register=output_register)
    assert ram.latency == 1 + output_register
    inputs = list(traffic(ram, f"{family}/{output_register}"))
    expected = list(reads(ram, inputs))
    results = run(ram, family, list(pack(ram, inputs)))
    assert [result for result, word in zip(results, expected, strict=True) if word is not None] \
        == [word for word in expected if word is not None]
    assert expected.count(None) < 20


@pytest.mark.parametrize("output_register", [False, True])
def test_wakes_up_as_zeros(output_register):
    for family, (width, depth) in ("generic", (8, 300)), ("ecp5", (36, 513)), ("ice40", (16, 257)):
        ram = BlockRam(width=width, depth=depth, output_register=output_register)
        stimulus = list(pack(ram, [(0, 0, 0, 1, address) for address in range(depth)]))
        assert set(run(ram, family, stimulus)[ram.latency:]) == {0}


@pytest.mark.parametrize("output_register", [False, True])
def test_twin_spoils_a_word_that_is_read_while_written(output_register):
    ram = BlockRam(width=8, depth=4, output_register=output_register)
    seen = []

    async def bench(ctx):
        # Address 2 is written; written and read; read; left alone; read again.
        for write_en, data, read_en in (1, 0x55, 0), (1, 0x0F, 1), (0, 0, 1), (0, 0, 0), (0, 0, 1):
            ctx.set(ram.write_en, write_en)
            ctx.set(ram.write_addr, 2)
            ctx.set(ram.write_data, data)
            ctx.set(ram.read_en, read_en)
            ctx.set(ram.read_addr, 2)
            await ctx.tick()
            seen.append(ctx.get(ram.read_data))

    sim = Simulator(ram)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert seen == ([0, 0, 0xAA, 0xAA, 0x0F] if output_register else [0, 0xAA, 0x0F, 0x0F, 0x0F])


@pytest.mark.parametrize("family, width, depth, blocks", [
    ("ecp5", 32, 512, 1), ("ecp5", 36, 512, 1), ("ecp5", 37, 512, 2), ("ecp5", 8, 2048, 1),
    ("ecp5", 32, 1024, 2), ("ecp5", 32, 2048, 4), ("ecp5", 8, 16384, 8), ("ecp5", 1, 16384, 1),
    ("ecp5", 256, 512, 8), ("ecp5", 1, 1, 1), ("ecp5", 64, 10752, 42), ("ecp5", 64, 3328, 14),
    ("ice40", 32, 256, 2), ("ice40", 32, 512, 4), ("ice40", 8, 2048, 4), ("ice40", 17, 256, 2),
    ("ice40", 1, 1, 1),
])
def test_takes_as_few_blocks_as_can_be(family, width, depth, blocks):
    text = rtlil.convert(BlockRam(width=width, depth=depth), platform=family)
    assert len(re.findall(r"cell \\(DP16KD|SB_RAM40_4K) ", text)) == blocks


@pytest.mark.parametrize("family, width, depth, rows", [
    ("ecp5", 32, 2048, 1), ("ecp5", 8, 16384, 1), ("ice40", 8, 2048, 1), ("ecp5", 64, 10752, 3),
    ("ecp5", 128, 6144, 3), ("ecp5", 36, 3500, 3)])
def test_takes_no_row_more_than_needed(family, width, depth, rows):
    text = rtlil.convert(BlockRam(width=width, depth=depth), platform=family)
    assert f"block_{rows - 1}_0" in text and f"block_{rows}_0" not in text


@pytest.mark.parametrize("parameters, error, message", [
    ({"width": 0, "depth": 4}, ValueError, "width must be between 1 and 4096, not 0"),
    ({"width": 4097, "depth": 4}, ValueError, "width must be between 1 and 4096, not 4097"),
    ({"width": 8, "depth": 0}, ValueError, "depth must be between 1 and 1048576, not 0"),
    ({"width": 8.0, "depth": 4}, TypeError, "width must be an integer, not 8.0"),
    ({"width": 8, "depth": "4"}, TypeError, "depth must be an integer, not '4'"),
    ({"width": 8, "depth": 4, "output_register": 1}, TypeError,
     "output_register must be a boolean, not 1"),
])
def test_rejects(parameters, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        BlockRam(**parameters)
