# amaranth: UnusedElaboratable=no
"""The controller of SDRAM against a chip that knows its data sheet and nothing else."""

import random
from dataclasses import replace

import pytest
from amaranth import *
from amaranth.lib.wiring import connect

from rtl.memory import Reader
from rtl.memory.sdram import CHIPS, Sdram, SdramChip, chip_of
from sim.sdram import SdramModel
from sim.streams import receive, send, simulate

#: Chips that are ready sooner, so that simulation is short; all else is theirs.
WIDE, NARROW = (replace(chip_of(bits), start=2000) for bits in (32, 16))


class Client(Elaboratable):
    """A controller with a reader of words."""

    def __init__(self, chip, *, width, depth, mhz, slots=16):
        self.sdram = Sdram(chip=chip, width=width, depth=depth, mhz=mhz)
        self.reader = Reader(address_bits=self.sdram.address_bits, width=width, slots=slots)
        self.pins, self.drop = self.sdram.pins, Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.sdram = self.sdram
        m.submodules.reader = ResetInserter(self.drop)(self.reader)
        connect(m, self.reader.port, self.sdram.read)
        m.d.comb += self.sdram.drop.eq(self.drop)
        return m


def ask(dut, addresses, go):
    async def bench(ctx):
        await send(ctx, dut.reader.i, [{"address": address, "tag": 0} for address in addresses], go)
    return bench


async def write(ctx, dut, words, go=lambda: True):
    await send(ctx, dut.sdram.write.requests, [
        {"address": address, "mask": 1, "data": word} for address, word in words.items()], go)


@pytest.mark.parametrize("chip, width, mhz, stalls", [
    (NARROW, 64, 90, 0.3), (NARROW, 96, 133, 0.0), (NARROW, 16, 48, 0.2), (WIDE, 64, 60, 0.2),
    (replace(NARROW, cas=2, period=10), 64, 90, 0.0)])
def test_words_come_back(chip, width, mhz, stalls):
    """Words at random, in rows near and far, and runs of them, while others are written."""
    rng = random.Random(f"{width}/{mhz}/{stalls}/{chip.cas}")
    dut = Client(chip, width=width, depth=1 << 15, mhz=mhz)
    model = SdramModel(chip, mhz)
    near = range(90, 180)  # in two rows
    memory = {address: rng.getrandbits(width)
              for address in [*near, *(rng.randrange(1 << 15) for _ in range(50))]}
    addresses = [*near, *rng.choices(sorted(memory), k=100), *near]
    later = {address: rng.getrandbits(width) for address in rng.sample(range(400, 1 << 15), 30)
             if address not in memory}
    written = []

    def go():
        return rng.random() >= stalls

    async def host(ctx):
        await write(ctx, dut, memory, go)
        written.append(True)
        await write(ctx, dut, later, go)
        written.append(True)

    async def reads(ctx):
        while not written:
            await ctx.tick()
        await ask(dut, addresses, go)(ctx)
        while len(written) < 2:
            await ctx.tick()
        await ask(dut, later, go)(ctx)

    async def takes(ctx):
        got = await receive(ctx, dut.reader.o, len(addresses) + len(later), go)
        memory.update(later)
        assert [each["data"] for each in got] == [
            memory[address] for address in (*addresses, *later)]

    simulate(dut, host, reads, takes, background=[model.attach(dut)], watch=[dut.reader.o])
    assert not model.error


def test_words_follow_each_other():
    """Full speed within a row, what a row and refreshes cost, and the latency that is promised."""
    count = 1100
    dut, model = Client(NARROW, width=64, depth=1 << 15, mhz=90), SdramModel(NARROW, 90)
    clock, before = [], []

    async def reads(ctx):
        await write(ctx, dut, {0: 1, count: 2})
        await ctx.tick().repeat(40)
        before.extend([model.activations, model.refreshes])
        await ask(dut, range(count), lambda: True)(ctx)

    async def takes(ctx):
        got = await receive(ctx, dut.reader.o, count)
        assert got[0]["data"] == 1

    async def watch(ctx):
        port = dut.sdram.read
        async for *_, asks, comes in ctx.tick().sample(
                port.requests.valid & port.requests.ready, port.words.valid):
            clock.append((asks, comes))

    simulate(dut, reads, takes, background=[model.attach(dut), watch])
    asked, came = ([n for n, each in enumerate(clock) if each[end]] for end in (0, 1))
    # The first of them finds another row open.
    closing = opening = 2
    assert came[0] - asked[0] == dut.sdram.latency + closing + opening
    gaps = [after - before for before, after in zip(came, came[1:], strict=False)]
    assert min(gaps) == dut.sdram.burst == 4
    rows, refreshes = -(-count // 128), model.refreshes - before[1]
    assert model.activations - before[0] == rows + refreshes
    spent = came[-1] - came[0]
    assert refreshes == round(spent / 702) and 4 * count < spent < 4.11 * count


def test_words_dropped_do_not_come():
    rng = random.Random(3)
    dut, model = Client(NARROW, width=64, depth=1 << 12, mhz=90), SdramModel(NARROW, 90)
    memory = {address: rng.getrandbits(64) for address in range(40)}

    async def bench(ctx):
        await write(ctx, dut, memory)
        for _ in range(60):
            base = rng.randrange(30)
            ctx.set(dut.reader.o.ready, 0)
            ctx.set(dut.reader.i.valid, 1)
            ctx.set(dut.reader.i.payload.address, base)
            await ctx.tick().repeat(rng.randrange(1, 45))
            ctx.set(dut.drop, 1)
            await ctx.tick()
            ctx.set(dut.drop, 0)
            ctx.set(dut.reader.i.valid, 0)
            if rng.random() < 0.5:
                await ctx.tick().repeat(rng.randrange(1, 4))
            address = rng.randrange(40)
            await send(ctx, dut.reader.i, [{"address": address, "tag": 0}])
            if rng.random() < 0.3:  # a write behind words that nobody waits for
                await write(ctx, dut, {39: memory[39]})
            got, = await receive(ctx, dut.reader.o, 1)
            assert got["data"] == memory[address]

    simulate(dut, bench, background=[model.attach(dut)])


def test_start_and_refreshes_keep_the_data_sheet():
    """The whole wait after power-up, and a chip that nobody asks for anything."""
    chip = CHIPS["IS42S16160G"]
    dut, model = Client(chip, width=64, depth=1 << 12, mhz=10), SdramModel(chip, 10)

    async def bench(ctx):
        await write(ctx, dut, {5: 55})
        await ctx.tick().repeat(4000)
        await send(ctx, dut.reader.i, [{"address": 5, "tag": 0}])
        got, = await receive(ctx, dut.reader.o, 1)
        assert got["data"] == 55

    simulate(dut, bench, background=[model.attach(dut)])
    assert model.refreshes in range(8 + 4000 // 78, 8 + 4000 // 78 + 4)


COMMANDS = {"activate": (1, 0, 0), "read": (0, 1, 0), "write": (0, 1, 1), "precharge": (1, 0, 1),
            "refresh": (1, 1, 0), "mode": (1, 1, 1), "nop": (0, 0, 0)}
READY = [("nop", 200), ("precharge", 2, {"a": 1 << 10}), *[("refresh", 7)] * 8,
         ("mode", 2, {"a": 0x32})]


def play(script, mhz=90, chip=NARROW):
    """What the model complains of, given commands, each with the cycles to the next one."""
    model = SdramModel(chip, mhz)
    for name, cycles, *settings in script:
        levels = dict(zip(("ras", "cas", "we"), COMMANDS[name], strict=True))
        model.clock(**levels, **(settings[0] if settings else {}))
        for n in range(1, cycles):
            held = settings[0] if settings and settings[0].get("dq_oe", 0) > n else {}
            model.clock(**({"dq_oe": 1} if held else {}))
    return model.error


@pytest.mark.parametrize("script, error", [
    ([*READY, ("activate", 2), ("read", 8), ("precharge", 2), ("activate", 2)], ""),
    ([*READY, ("activate", 2), ("write", 6, {"dq_oe": 4}), ("precharge", 2), ("refresh", 7)], ""),
    ([("nop", 100), *READY[1:]], "wait after power-up"),
    ([*READY[:1], *READY[2:]], "before all banks were precharged"),
    ([*READY[:2], *READY[3:], ("activate", 2)], "before the mode register is set"),
    ([*READY[:2], ("refresh", 4), ("refresh", 4)], "within tRFC"),
    ([*READY[:-1], ("mode", 1, {"a": 0x32}), ("activate", 2)], "within tMRD"),
    ([*READY[:-1], ("mode", 2, {"a": 0x3a})], "interleaved"),
    ([*READY[:-1], ("mode", 2, {"a": 0x12})], "CAS latency"),
    ([*READY[:-1], ("mode", 2, {"a": 0x22})], "too fast for this CAS"),
    ([*READY, ("activate", 1), ("read", 4)], "within tRCD"),
    ([*READY, ("read", 4)], "without an open row"),
    ([*READY, ("activate", 2), ("read", 4, {"ba": 1})], "without an open row"),
    ([*READY, ("activate", 2), ("activate", 2)], "a row of that bank is open"),
    ([*READY, ("activate", 1), ("activate", 2, {"ba": 1})], "within tRRD"),
    ([*READY, ("activate", 2), ("precharge", 2)], "within tRAS"),
    ([*READY, ("activate", 4), ("precharge", 1), ("activate", 2)], "within tRP"),
    ([*READY, ("activate", 4), ("precharge", 2), ("refresh", 2), ("activate", 2)], "within tRFC"),
    ([*READY, ("activate", 2), ("refresh", 7)], "while a row is open"),
    ([*READY, ("activate", 2), ("write", 4, {"dq_oe": 4}), ("precharge", 2)], "within tWR"),
    ([*READY, ("activate", 2), ("write", 6, {"dq_oe": 3})], "nobody drives"),
    ([*READY, ("activate", 2), ("write", 6, {"dq_oe": 5})], "without a write"),
    ([*READY, ("activate", 2), ("read", 6), ("write", 6, {"dq_oe": 4})], "still to be read"),
    ([*READY, ("activate", 2), ("read", 7), ("write", 6, {"dq_oe": 4})], "no clock lies between"),
    ([*READY, ("activate", 2), ("read", 8), ("write", 6, {"dq_oe": 4})], ""),
    ([*READY, ("nop", 8 * 704), ("refresh", 7)], ""),
    ([*READY, ("nop", 9 * 704)], "refreshes are late"),
])
def test_the_chip_knows_its_rules(script, error):
    assert error in play(script) and bool(error) == bool(play(script))


def test_a_read_ends_where_its_row_closes():
    """Words on the pins at the CAS latency, but for those that a precharge cuts off."""
    for close, left in ((4, 4), (3, 3), (2, 2)):
        model = SdramModel(NARROW, 90)
        script = [*READY, ("activate", 2), ("write", 6, {"dq_oe": 4}), ("read", close)]
        for name, cycles, *_ in script:
            levels = dict(zip(("ras", "cas", "we"), COMMANDS[name], strict=True))
            settings = _[0] if _ else {}
            back = [model.clock(**levels, **settings, dq_o=0x100)]
            back += [model.clock(dq_oe=int("dq_oe" in settings and n < 4), dq_o=0x100 + n)
                     for n in range(1, cycles)]
        back += [model.clock(ras=1, we=1, a=1 << 10), *(model.clock() for _ in range(9))]
        assert back[4:4 + left] == [0x100 + n for n in range(left)], close
        assert all(word not in back for word in range(0x100 + left, 0x104))
        assert not model.error


@pytest.mark.parametrize("error, options", [
    (TypeError, {"chip": 3}), (ValueError, {"width": 129}), (ValueError, {"depth": 1 << 24}),
    (ValueError, {"mhz": 150}), (ValueError, {"mhz": 5})])
def test_refuses(error, options):
    name, = options
    with pytest.raises(error, match=f"^{name} must be"):
        Sdram(**{"chip": NARROW, "width": 64, "depth": 64, "mhz": 90} | options)


def test_chips_are_checked():
    with pytest.raises(ValueError, match=r"^cas must be one of 2, 3, not 4$"):
        replace(NARROW, cas=4)
    assert isinstance(chip_of(32), SdramChip) and chip_of(32).bytes == 4 << 20
