# amaranth: UnusedElaboratable=no
"""Buses and streams before a model of the accelerator's command port, with stalls everywhere."""

import random
import re

import pytest

from rtl.accelerator.registers import (
    FIRST_PARAMETER,
    OFFSET_BITS,
    PARAMETERS,
    Register,
    Window,
)
from rtl.bus import STREAMS, BusAccelerator, StreamRegister
from rtl.bus.port import BusPort
from rtl.bus.registers import window_words
from sim.streams import receive, send, simulate, stalls
from systolith.compiler.fitting import small_build

#: Words of memories are 8 and 4 bytes; parameters take 4 words of 32 bits.
PARAMS = small_build(8, 4, activation_bytes=256, weight_bytes=64, channels=8, program_words=64)
ACTIVATIONS, WEIGHTS, PROGRAM, CYCLES = (window << OFFSET_BITS for window in (
    Window.ACTIVATIONS, Window.WEIGHTS, Window.PROGRAM, Window.CYCLES))
OWN = STREAMS << OFFSET_BITS
IN_ADDRESS, IN_COUNT, OUT_ADDRESS, OUT_COUNT, INTERRUPT = (OWN + each for each in StreamRegister)

BUSES = "axi", "wishbone"
STALLS = 1.0, 0.3

buses = pytest.mark.parametrize("bus", BUSES)
stalled = pytest.mark.parametrize("go", STALLS)


class CommandPort:
    """What an accelerator does with commands: a memory, a run of ``run`` cycles for each go.

    Memories but for that of activations wait for the end of a run; a read takes ``delay`` cycles.
    """

    def __init__(self, dut, go, *, run=100, delay=3):
        self.dut, self.go, self.left, self.delay = dut, go, 0, delay
        self.run_cycles, self.memory, self.log = run, {}, []

    async def serve(self, ctx):
        dut, wait, answer, offered = self.dut, 0, None, False
        ctx.set(dut.done, 1)
        while True:
            command, valid = ctx.get(dut.commands.payload), ctx.get(dut.commands.valid)
            free = command.address >> OFFSET_BITS in {Window.REGISTERS, Window.ACTIVATIONS}
            free = (free or not self.left) and self.go() and answer is None
            wait = 0 if not valid or command.write else wait + 1
            ready = free and (command.write or wait > self.delay)
            ctx.set(dut.commands.ready, ready)
            offered = answer is not None and (offered or self.go())
            ctx.set(dut.answers.valid, offered)
            ctx.set(dut.answers.payload, answer or 0)
            *_, valid, taken = await ctx.tick().sample(dut.commands.valid, dut.answers.ready)
            if offered and taken:
                answer, offered = None, False
            self.left = max(self.left - 1, 0)
            if valid and ready:
                wait = 0
                if not command.write:
                    answer = self.memory.get(command.address, 0)
                else:
                    self.log.append((command.address, command.data))
                    self.memory[command.address] = command.data
                    if command.address == Register.GO and not self.left:
                        self.left = self.run_cycles
                    if command.address == Register.STOP:
                        self.left = 0
            ctx.set(dut.done, not self.left)


class Axi:
    """Of the two channels of a write, either comes first; responses are taken at some time."""

    def __init__(self, dut, go, seed):
        self.dut, self.go, self.rng = dut, go, random.Random(f"axi {seed}")

    async def write(self, ctx, address, data, strb=15):
        """Whether it was done."""
        dut = self.dut
        left = {"aw": (dut.aw, {"addr": 4 * address + self.rng.randrange(4), "prot": 2}),
                "w": (dut.w, {"data": data, "strb": strb})}
        late = self.rng.choice([None, *left])  # not before the other was taken
        offered = set()
        while left:
            for name, (channel, payload) in left.items():
                if name in offered or ((name != late or len(left) == 1) and self.go()):
                    offered.add(name)
                    ctx.set(channel.payload, payload)
                    ctx.set(channel.valid, 1)
            *_, aw, w = await ctx.tick().sample(dut.aw.ready, dut.w.ready)
            for name, ready in (("aw", aw), ("w", w)):
                if name in offered and ready and name in left:
                    ctx.set(left.pop(name)[0].valid, 0)
        response, = await receive(ctx, dut.b, 1, self.go)
        return {0: True, 2: False}[response.resp]

    async def read(self, ctx, address):
        """The word, or None."""
        await send(ctx, self.dut.ar, [{"addr": 4 * address + self.rng.randrange(4), "prot": 1}],
                   self.go)
        word, = await receive(ctx, self.dut.r, 1, self.go)
        return {0: word.data, 2: None}[word.resp]


class Wishbone:
    def __init__(self, dut, go, seed):
        self.dut, self.go, self.rng = dut, go, random.Random(f"wishbone {seed}")

    async def access(self, ctx, address, we, data, sel):
        dut = self.dut
        while not self.go():
            assert not any((await ctx.tick().sample(dut.ack, dut.err))[-2:])
        for name, value in (("cyc", 1), ("stb", 1), ("we", we), ("adr", address), ("sel", sel),
                            ("dat_w", data)):
            ctx.set(getattr(dut, name), value)
        ack = err = 0
        while not (ack or err):
            *_, ack, err, word = await ctx.tick().sample(dut.ack, dut.err, dut.dat_r)
        assert not (ack and err)
        ctx.set(dut.stb, 0)  # the next access may follow at once nevertheless
        ctx.set(dut.cyc, self.rng.random() < 0.5)
        return ack, word

    async def write(self, ctx, address, data, strb=15):
        ack, _ = await self.access(ctx, address, 1, data, strb)
        return bool(ack)

    async def read(self, ctx, address):
        ack, word = await self.access(ctx, address, 0, 0, self.rng.randrange(16))
        return word if ack else None


def run(bus, bench, *benches, go=1.0, seed=0, cycles=20_000, **model):
    """Let ``bench(ctx, master)`` talk to a port; returns the port's model and the port."""
    dut = BusPort(PARAMS, bus=bus)
    port = CommandPort(dut, stalls(f"port {seed}", go), **model)
    master = (Axi if bus == "axi" else Wishbone)(dut, stalls(f"bus {seed}", go), seed)

    async def main(ctx):
        await bench(ctx, master)

    watched = [dut.commands, dut.o, *((dut.b, dut.r) if bus == "axi" else ())]
    simulate(dut, main, *(each(dut) for each in benches), background=[port.serve], watch=watched,
             cycles=cycles)
    return port


@buses
@stalled
def test_registers_and_memories(bus, go):
    rng = random.Random(f"{bus} {go}")
    words = {ACTIVATIONS + rng.randrange(64): rng.randrange(1 << 32) for _ in range(20)}
    words |= {ACTIVATIONS: 1, ACTIVATIONS + 63: 2 ** 32 - 1}

    async def bench(ctx, master):
        for address, word in words.items():
            assert await master.write(ctx, address, word)
        for address, word in words.items():
            assert await master.read(ctx, address) == word
        assert await master.read(ctx, Register.STATUS) == 0

    assert run(bus, bench, go=go).log == list(words.items())


@buses
def test_refuses_what_is_not_there(bus):
    """The first and the last word of each window, one past it, and what has no window."""
    limits = [(window << OFFSET_BITS, sizes) for window, sizes in window_words(PARAMS).items()]
    registers = FIRST_PARAMETER + len(PARAMETERS)
    assert dict(limits) == {
        0: (registers, registers), PROGRAM: (0, 64), WEIGHTS: (0, 16), 3 << OFFSET_BITS: (0, 32),
        ACTIVATIONS: (64, 64), CYCLES: (256, 0)}

    async def bench(ctx, master):
        for base, (readable, writable) in [*limits, (6 << OFFSET_BITS, (0, 0)), (OWN, (5, 5))]:
            for offset in {0, readable - 1, readable, writable - 1, writable, 1 << 19} - {-1}:
                if base + offset in {Register.GO, OUT_COUNT, IN_COUNT}:
                    continue
                read = await master.read(ctx, base + offset)
                assert (read is not None) == (offset < readable), hex(base + offset)
                assert await master.write(ctx, base + offset, 0) == (offset < writable)

    log = run(bus, bench).log
    assert {address for address, _ in log} == {
        base + offset for base, (readable, writable) in limits
        for offset in {0, readable - 1, readable, writable - 1} if 0 <= offset < writable}


@buses
def test_refuses_parts_of_a_word(bus):
    async def bench(ctx, master):
        for strb in range(16):
            for address in (ACTIVATIONS, IN_ADDRESS):
                assert await master.write(ctx, address, strb + 1, strb) == (strb == 15)
        assert await master.read(ctx, IN_ADDRESS) == 16

    assert run(bus, bench).log == [(ACTIVATIONS, 16)]


@buses
@stalled
def test_a_run(bus, go):
    """While it lasts most memories are refused; the interrupt says that it is over."""
    async def bench(ctx, master):
        dut = master.dut
        assert await master.read(ctx, INTERRUPT) == 0
        assert await master.write(ctx, Register.GO, 0)
        # Refused at once, not after the run.
        assert await master.read(ctx, CYCLES) is None
        assert not await master.write(ctx, WEIGHTS, 0)
        assert await master.read(ctx, Register.STATUS) == 0
        assert await master.write(ctx, ACTIVATIONS, 4)
        assert await master.read(ctx, ACTIVATIONS) == 4
        assert not ctx.get(dut.done) and not ctx.get(dut.irq)
        assert await master.write(ctx, Register.STOP, 0)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.done) and ctx.get(dut.irq)
        assert await master.read(ctx, INTERRUPT) == 1
        assert await master.read(ctx, CYCLES) == 0
        assert await master.write(ctx, INTERRUPT, 0)
        assert await master.read(ctx, INTERRUPT) == 0 == ctx.get(dut.irq)

    run(bus, bench, go=go, run=10_000)


@buses
@stalled
def test_words_in(bus, go):
    """At ascending addresses, while the bus reads; no others before and after."""
    rng = random.Random(f"{bus} {go}")
    words = [rng.randrange(1 << 32) for _ in range(64)]

    def source(dut):
        async def bench(ctx):
            await send(ctx, dut.i, [{"data": word} for word in words], stalls("source", go))
        return bench

    async def bench(ctx, master):
        async def wait():
            while await master.read(ctx, IN_COUNT):
                assert await master.read(ctx, Register.ID) == 0

        await ctx.tick().repeat(20)
        assert not ctx.get(master.dut.i.ready)
        for base, count in ((WEIGHTS + 3, 13), (ACTIVATIONS, 50)):
            assert await master.write(ctx, IN_ADDRESS, base)
            assert await master.write(ctx, IN_COUNT, count)
            await wait()
            assert await master.read(ctx, IN_ADDRESS) == base + count
        assert await master.write(ctx, IN_ADDRESS, PROGRAM)
        assert await master.write(ctx, IN_COUNT, 1)
        await wait()

    log = run(bus, bench, source, go=go).log
    regions = [*range(WEIGHTS + 3, WEIGHTS + 16), *range(ACTIVATIONS, ACTIVATIONS + 50), PROGRAM]
    assert log == list(zip(regions, words, strict=True))


@buses
@stalled
def test_words_out(bus, go):
    """With the end marked, while the bus reads the same memory."""
    counts = 1, 2, 20, 5
    got = []

    def sink(dut):
        async def bench(ctx):
            got.extend(await receive(ctx, dut.o, sum(counts), stalls("sink", go)))
        return bench

    async def bench(ctx, master):
        for offset in (7, *range(44, 64)):
            assert await master.write(ctx, ACTIVATIONS + offset, 1000 + offset)
        for count in counts:
            assert await master.write(ctx, OUT_ADDRESS, ACTIVATIONS + 64 - count)
            assert await master.write(ctx, OUT_COUNT, count)
            while await master.read(ctx, OUT_COUNT):
                assert await master.read(ctx, ACTIVATIONS + 7) == 1007
            assert await master.read(ctx, OUT_ADDRESS) == ACTIVATIONS + 64

    run(bus, bench, sink, go=go)
    assert [(word.data, word.last) for word in got] == [
        (1000 + 64 - count + n, n == count - 1) for count in counts for n in range(count)]


@stalled
def test_words_in_and_out_at_a_time(go):
    words, got = list(range(100, 130)), []

    def source(dut):
        async def bench(ctx):
            await send(ctx, dut.i, [{"data": word} for word in words], stalls("source", go))
        return bench

    def sink(dut):
        async def bench(ctx):
            got.extend(await receive(ctx, dut.o, 20, stalls("sink", go)))
        return bench

    async def bench(ctx, master):
        for address, value in ((IN_ADDRESS, ACTIVATIONS), (OUT_ADDRESS, ACTIVATIONS + 40),
                               (OUT_COUNT, 20), (IN_COUNT, 30)):
            assert await master.write(ctx, address, value)
        while await master.read(ctx, IN_COUNT) or await master.read(ctx, OUT_COUNT):
            pass

    port = run("axi", bench, source, sink, go=go)
    assert port.log == [(ACTIVATIONS + n, word) for n, word in enumerate(words)]
    assert [word.data for word in got] == [0] * 20


@buses
def test_streams_wait_for_a_run(bus):
    """The next input enters while it lasts; words for other memories, and those out, wait."""
    got = []

    def source(dut):
        async def bench(ctx):
            await send(ctx, dut.i, [{"data": 7}, {"data": 8}])
        return bench

    def sink(dut):
        async def bench(ctx):
            got.extend(await receive(ctx, dut.o, 2))
        return bench

    async def bench(ctx, master):
        assert await master.write(ctx, ACTIVATIONS, 5)
        assert await master.write(ctx, OUT_ADDRESS, ACTIVATIONS)
        assert await master.write(ctx, IN_ADDRESS, ACTIVATIONS + 1)
        assert await master.write(ctx, Register.GO, 0)
        assert await master.write(ctx, OUT_COUNT, 2)
        assert await master.write(ctx, IN_COUNT, 1)
        assert await master.read(ctx, IN_COUNT) == 0
        assert await master.write(ctx, IN_ADDRESS, WEIGHTS)
        assert await master.write(ctx, IN_COUNT, 1)
        await ctx.tick().repeat(40)
        assert await master.read(ctx, IN_COUNT) == 1 and await master.read(ctx, OUT_COUNT) == 2
        assert await master.read(ctx, Register.STATUS) == 0 and not got
        assert not ctx.get(master.dut.done)
        while await master.read(ctx, OUT_COUNT) or await master.read(ctx, IN_COUNT):
            pass

    port = run(bus, bench, source, sink, run=400)
    assert port.log[-2:] == [(ACTIVATIONS + 1, 7), (WEIGHTS, 8)]
    assert [(word.data, word.last) for word in got] == [(5, 0), (7, 1)]


@pytest.mark.parametrize("go", (0.9, 0.5))
def test_nothing_slips_in_after_go(go):
    """Words offered at the very time of a go do not bar the way to STOP."""
    def source(dut):
        async def bench(ctx):
            await send(ctx, dut.i, [{"data": word} for word in range(16)], stalls("source", go))
        return bench

    async def bench(ctx, master):
        assert await master.write(ctx, IN_ADDRESS, WEIGHTS)
        for _ in range(4):
            assert await master.write(ctx, Register.GO, 0)
            assert await master.write(ctx, IN_COUNT, 4)
            assert not await master.write(ctx, Register.STOP, 0)  # a word is to come
            assert await master.write(ctx, IN_COUNT, 0)
            assert await master.write(ctx, Register.STOP, 0)
            assert await master.write(ctx, IN_COUNT, 4)
            while await master.read(ctx, IN_COUNT):
                pass

    port = run("axi", bench, source, go=go, run=5000)
    assert [each for each in port.log if each[0] >= WEIGHTS] == [
        (WEIGHTS + n, n) for n in range(16)]


@buses
def test_refuses_transfers(bus):
    async def bench(ctx, master):
        async def attempt(address, count, register=OUT_COUNT):
            assert await master.write(ctx, register - 1, address)
            return await master.write(ctx, register, count)

        # Within one memory, that can be read, or written.
        assert not await attempt(ACTIVATIONS, 65)
        assert not await attempt(ACTIVATIONS + 63, 2)
        assert not await attempt(ACTIVATIONS + 64, 1)
        assert not await attempt(WEIGHTS, 1)
        assert not await attempt(0, 4)
        assert not await attempt(CYCLES, 1, IN_COUNT)
        assert not await attempt(0, 1, IN_COUNT)
        assert not await attempt(WEIGHTS, (1 << OFFSET_BITS) + 4, IN_COUNT)
        assert not await attempt(WEIGHTS, 1 << 31 | 4, IN_COUNT)
        assert not await attempt(OWN, 1)
        assert not await master.write(ctx, OUT_ADDRESS, 1 << 23 | ACTIVATIONS)
        for register in (OUT_COUNT, IN_COUNT):
            assert await attempt(ACTIVATIONS, 0, register)
            assert await master.read(ctx, register) == 0
            # One that is under way can only be ended.
            assert await attempt(ACTIVATIONS, 64, register)
            assert not await master.write(ctx, register - 1, ACTIVATIONS)
            assert not await master.write(ctx, register, 3)
        assert not await master.write(ctx, ACTIVATIONS, 1)
        assert not await master.write(ctx, Register.GO, 0)
        assert await master.read(ctx, IN_COUNT) == 64
        assert await master.write(ctx, IN_COUNT, 0)
        assert await master.read(ctx, IN_COUNT) == 0
        assert await master.write(ctx, ACTIVATIONS, 1)

    assert run(bus, bench).log == [(ACTIVATIONS, 1)]


def test_a_frame_that_is_ended_has_one_last_word():
    """Whenever that is, also as the last word comes."""
    got, frames = [], []

    def sink(dut):
        async def bench(ctx):
            ctx.set(dut.o.ready, 1)
            while len(frames) < 20:
                *_, valid, word = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                got.extend([word.last] if valid else [])
        return bench

    async def bench(ctx, master):
        assert await master.write(ctx, OUT_ADDRESS, ACTIVATIONS)
        for pause in range(20):
            assert await master.write(ctx, OUT_COUNT, 3)
            for _ in range(pause):
                await ctx.tick()
            assert await master.write(ctx, OUT_COUNT, 0)
            while await master.read(ctx, OUT_COUNT):
                pass
            await ctx.tick().repeat(20)
            frames.append(got.copy())
            got.clear()

    run("axi", bench, sink)
    assert {len(frame) for frame in frames} == {2, 3}
    assert all(frame == [0] * (len(frame) - 1) + [1] for frame in frames)


def test_words_out_take_a_read_and_3_cycles():
    came = []

    def sink(dut):
        async def bench(ctx):
            ctx.set(dut.o.ready, 1)
            for cycle in range(150):
                came.extend([cycle] if (await ctx.tick().sample(dut.o.valid))[-1] else [])
        return bench

    async def bench(ctx, master):
        assert await master.write(ctx, OUT_ADDRESS, ACTIVATIONS)
        assert await master.write(ctx, OUT_COUNT, 8)

    run("axi", bench, sink, delay=0)  # an answer comes in the cycle after its command
    assert [after - before for before, after in zip(came, came[1:], strict=False)] == [4] * 7


def test_words_in_take_a_cycle_each():
    took = []

    def source(dut):
        async def bench(ctx):
            await send(ctx, dut.i, [{"data": 0}])
            for n in range(1, 64):
                ctx.set(dut.i.payload.data, n)
                ctx.set(dut.i.valid, 1)
                took.append((await ctx.tick().sample(dut.i.ready))[-1])
        return bench

    async def bench(ctx, master):
        assert await master.write(ctx, IN_ADDRESS, ACTIVATIONS)
        assert await master.write(ctx, IN_COUNT, 64)

    run("axi", bench, source)
    assert took == [1] * 63


@pytest.mark.parametrize("go", [(1.0, 1.0, 0.2), (0.3, 1.0, 1.0), (1.0, 0.3, 1.0), (0.5, 0.5, 0.5)])
def test_channels_are_independent(go):
    """Addresses, data and responses each at a pace of their own, reads beside writes."""
    addresses = [ACTIVATIONS + (64 if n % 5 == 3 else n) for n in range(20)]
    good = [n % 5 != 3 for n in range(20)]
    responses = {}

    def channel(name, payloads, pace):
        def make(dut):
            async def bench(ctx):
                tosses = stalls(name, pace)
                if isinstance(payloads, int):
                    responses[name] = await receive(ctx, getattr(dut, name), payloads, tosses)
                else:
                    await send(ctx, getattr(dut, name), payloads, tosses)
            return bench
        return make

    async def idle(ctx, master):
        pass

    log = run("axi", idle,
              channel("aw", [{"addr": 4 * address} for address in addresses], go[0]),
              channel("w", [{"data": n, "strb": 15} for n in range(20)], go[1]),
              channel("b", 20, go[2]),
              channel("ar", [{"addr": 4 * address} for address in reversed(addresses)], go[1]),
              channel("r", 20, go[2]), go=0.7).log
    assert log == [(address, n) for n, address in enumerate(addresses) if good[n]]
    assert [each.resp == 0 for each in responses["b"]] == good
    assert [each.resp == 0 for each in responses["r"]] == good[::-1]
    assert all(word.data in {0, address - ACTIVATIONS} for word, address in zip(
        responses["r"], reversed(addresses), strict=True))


def test_reads_and_writes_do_not_wait_for_each_others_responses():
    """With a response of one kind untaken, accesses of the other go on; both kinds take turns."""
    async def bench(ctx, master):
        dut = master.dut
        await send(ctx, dut.ar, [{"addr": 4 * ACTIVATIONS}])
        for n in range(3):
            assert await master.write(ctx, ACTIVATIONS + n, n)
        await send(ctx, dut.ar, [{"addr": 4 * ACTIVATIONS + 4}])
        words = await receive(ctx, dut.r, 2)
        assert [word.data for word in words] == [0, 1]
        await send(ctx, dut.aw, [{"addr": 4 * ACTIVATIONS}])
        await send(ctx, dut.w, [{"data": 9, "strb": 15}])
        for n in range(1, 3):
            assert await master.read(ctx, ACTIVATIONS + n) == n
        await receive(ctx, dut.b, 1)
        assert await master.read(ctx, ACTIVATIONS) == 9

    run("axi", bench)


def test_writes_do_not_crowd_out_reads():
    async def bench(ctx, master):
        assert await master.read(ctx, ACTIVATIONS) == 0
        assert len(port.log) < 10

    dut = BusPort(PARAMS)
    port = CommandPort(dut, lambda: True)

    def sender(channel, payload):
        async def bench(ctx):
            await send(ctx, channel, [payload] * 20)
        return bench

    async def responses(ctx):
        await receive(ctx, dut.b, 20)

    async def read(ctx):
        await bench(ctx, Axi(dut, lambda: True, 0))

    simulate(dut, read, sender(dut.aw, {"addr": 4 * ACTIVATIONS + 4}),
             sender(dut.w, {"data": 1, "strb": 15}), responses, background=[port.serve])
    assert len(port.log) == 20


def test_wishbone_cycles_that_are_given_up():
    """No answer comes late, and none is taken for that of the next access."""
    async def bench(ctx, master):
        dut = master.dut
        for pause in range(1, 15):
            for name, value in (("cyc", 1), ("stb", 1), ("we", 0), ("adr", ACTIVATIONS)):
                ctx.set(getattr(dut, name), value)
            for _ in range(pause):
                if any((await ctx.tick().sample(dut.ack, dut.err))[-2:]):
                    break
            ctx.set(dut.cyc, 0)
            for _ in range(pause % 4):
                assert not any((await ctx.tick().sample(dut.ack, dut.err))[-2:])
            if pause % 4 == 0:
                await ctx.tick()
            assert await master.write(ctx, ACTIVATIONS + 1, pause)
            assert await master.read(ctx, ACTIVATIONS + 1) == pause

    run("wishbone", bench)


@pytest.mark.parametrize("make, error, message", [
    (lambda: BusAccelerator(PARAMS, bus="apb"), ValueError,
     "bus must be one of axi, wishbone, not 'apb'"),
    (lambda: BusAccelerator(8), TypeError, "params must be AcceleratorParams, not 8"),
])
def test_refuses(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()


@buses
def test_meanings_are_of_ports(bus):
    core = BusAccelerator(PARAMS, bus=bus)
    assert set(core.meanings) <= set(core.signature.members)
