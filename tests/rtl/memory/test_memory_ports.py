# amaranth: UnusedElaboratable=no
"""Memories behind ports: whoever shares them, each client sees what it asked for, in order."""

import random
from types import SimpleNamespace

import pytest
from amaranth import *
from amaranth.lib.wiring import connect

from rtl.memory import Arbiter, DualPortMemory, Reader, SinglePortMemory
from sim.primitives import run
from sim.streams import receive, send, simulate


class Shared(Elaboratable):
    """Two readers and a writer on one memory; the writer is the test."""

    def __init__(self, *, single, slots, direct):
        self.single = single
        self.memory = (SinglePortMemory(depth=64) if single else
                       DualPortMemory(width=32, depth=64, parts=4, output_register=True))
        shape = {"address_bits": 6, "width": 32, "latency": self.memory.latency}
        clients = {"a": 0, "b": 0}
        self.arbiter = Arbiter({"writer": 4, **clients} if single else clients, **shape)
        self.readers = [Reader(address_bits=6, width=32, slots=slots, direct=direct, tag=6)
                        for _ in range(2)]
        self.clock = Signal(16)
        self.writer = self.arbiter.writer if single else self.memory.write

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.clock.eq(self.clock + 1)
        m.submodules += [self.memory, self.arbiter, *self.readers]
        connect(m, self.arbiter.memory, self.memory.port if self.single else self.memory.read)
        if self.single:
            m.d.comb += self.memory.parts.eq(self.writer.requests.payload.mask)
        for reader, port in zip(self.readers, (self.arbiter.a, self.arbiter.b), strict=True):
            connect(m, reader.port, port)
        return m


async def wait(ctx, stream, count, go):
    """As :func:`receive`; but ``ready``, once high, stays so until something is taken."""
    received = []
    for _ in range(count):
        while not go():
            await ctx.tick()
        received += await receive(ctx, stream, 1)
    return received


@pytest.mark.parametrize("single, slots, direct, stalls", [
    (False, 4, False, 0.0), (False, 4, False, 0.5), (True, 2, True, 0.0), (True, 2, True, 0.5),
    (True, 1, False, 0.3), (True, 2, False, 0.3), (True, 0, False, 0.0), (True, 0, False, 0.3),
    (False, 0, False, 0.3)])
def test_clients_see_their_words(single, slots, direct, stalls):
    dut = Shared(single=single, slots=slots, direct=direct)
    rng = random.Random(f"{single}/{slots}/{stalls}")
    count = 120
    words = [rng.getrandbits(32) for _ in range(64)]
    asked = [[rng.randrange(64) for _ in range(count)] for _ in dut.readers]
    written, cycles = [], []

    async def write(ctx):
        # All of it, then half of the bytes of what stays the same.
        todo = [{"address": n, "mask": 15, "data": word} for n, word in enumerate(words)]
        todo += [{"address": n, "mask": mask, "data": words[n] & sum(
            0xff << 8 * byte for byte in range(4) if mask >> byte & 1)}
            for n, mask in ((rng.randrange(64), rng.randrange(1, 16)) for _ in range(64))]
        await send(ctx, dut.writer.requests, todo, lambda: rng.random() >= stalls)
        written.append(True)

    def ask(reader, addresses):
        async def bench(ctx):
            while not written:
                await ctx.tick()
            await send(ctx, reader.i, [{"address": address, "tag": n % 64}
                                       for n, address in enumerate(addresses)],
                       lambda: rng.random() >= stalls)
        return bench

    def take(reader, addresses):
        async def bench(ctx):
            while not written:
                await ctx.tick()
            begun = ctx.get(dut.clock)
            got = await (receive if slots else wait)(ctx, reader.o, count,
                                                     lambda: rng.random() >= stalls)
            cycles.append(ctx.get(dut.clock) - begun)
            assert [each["data"] for each in got] == [words[address] for address in addresses]
            assert [each["tag"] for each in got] == [n % 64 for n in range(count)]
        return bench

    simulate(dut, write, *(bench(reader, addresses) for bench in (ask, take)
                           for reader, addresses in zip(dut.readers, asked, strict=True)),
             watch=[reader.o for reader in dut.readers])
    if not stalls and slots:  # the first reader gets a word a cycle, the second one waits
        assert cycles[0] < count + 8 and cycles[1] < 2 * count + 16
    if not stalls and not slots:  # in turns
        assert max(cycles) < 2 * count + 16


@pytest.mark.parametrize("platform, depth", [
    ("generic", 1024), (SimpleNamespace(device="iCE40HX8K"), 1024)])
def test_single_port_of_blocks(platform, depth):
    """Words, and bytes of them, in the blocks of an iCE40 without single-port RAM too."""
    rng = random.Random(depth)
    memory = SinglePortMemory(depth=depth)
    bits = memory.address_bits
    places = [0, depth - 1, *(1 << bit for bit in range(bits) if 1 << bit < depth)]
    words, stimulus, expected = {}, [], []
    for count in range(700):
        valid, address = rng.random() < 0.8, rng.choice(places)
        mask = 15 if count < 200 else rng.choice([0, 0, rng.randrange(16)])
        data = rng.getrandbits(32)
        # Address, mask and data, valid, and the mask again, which counts if it is not 0.
        stimulus.append(address | mask << bits | data << bits + 4 | valid << bits + 36
                        | (mask or rng.randrange(16)) << bits + 37)
        expected.append(words.get(address) if valid and not mask else None)
        if valid and mask:
            keep = sum(0xff << 8 * byte for byte in range(4) if not mask >> byte & 1)
            words[address] = words.get(address, 0) & keep | data & ~keep & 0xffffffff
    results = run(memory, platform, stimulus)
    assert len(set(expected)) > 50
    for result, word in zip(results[1:], expected, strict=False):  # a cycle later
        if word is not None:
            # ready, the word, and that it comes.
            assert result == (1 | word << 1 | 1 << 33), (result, word)


@pytest.mark.parametrize("registers", [{}, {"output_register": True}, {"input_register": True},
                                       {"output_register": True, "input_register": True}])
def test_two_ports_keep_the_order_of_reads_and_writes(registers):
    """Of the same few words, one cycle after the other."""
    memory, rng = DualPortMemory(width=32, depth=8, parts=4, **registers), random.Random(5)
    words, expected, got = [0] * 8, [], []

    async def bench(ctx):
        for _ in range(400):
            where, there = rng.sample(range(3), 2)
            reads, mask, data = rng.random() < 0.7, rng.randrange(16), rng.getrandbits(32)
            writes = rng.random() < 0.7
            ctx.set(memory.read.requests.valid, reads)
            ctx.set(memory.read.requests.payload.address, where)
            ctx.set(memory.write.requests.valid, writes)
            ctx.set(memory.write.requests.payload, {"address": there, "mask": mask, "data": data})
            expected.extend([words[where]] * reads)
            for part in range(4 * writes):
                if mask >> part & 1:
                    field = 0xff << 8 * part
                    words[there] = words[there] & ~field | data & field
            await ctx.tick()
        ctx.set(memory.read.requests.valid, 0)
        await ctx.tick().repeat(memory.latency)

    async def watch(ctx):
        async for *_, valid, word in ctx.tick().sample(memory.read.words.valid,
                                                       memory.read.words.payload):
            got.extend([word] * valid)

    simulate(memory, bench, background=[watch])
    assert got == expected
