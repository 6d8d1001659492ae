# amaranth: UnusedElaboratable=no
"""The link's gateware: an SPI bus's pins to bytes, bytes to frames, frames to commands."""

import functools
import random
import re
import zlib

import numpy as np
import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.accelerator.registers import ID
from rtl.link import Link, SpiTarget
from rtl.link.protocol import INFO, RING, WORDS, Kind, Status
from rtl.link.receiver import FrameReceiver
from rtl.link.sender import FrameSender
from sim.compiled import CompiledSim
from sim.streams import receive, send, simulate, stalls
from systolith.runtime.link.frames import Unframer, frame
from tests.support.paths import ROOT

STALLS = [(1.0, 1.0), (0.3, 1.0), (1.0, 0.3), (0.3, 0.3)]


# SPI

@pytest.mark.parametrize("half", [4, 7])
def test_spi(half):
    dut, rng = SpiTarget(), random.Random(half)
    there, back = rng.randbytes(20), rng.randbytes(12)
    heard = []

    async def controller(ctx):
        await ctx.tick().repeat(20)
        for group in (there[:7], there[7:]):
            ctx.set(dut.cs, 0)
            await ctx.tick().repeat(half)
            for byte in group:
                value = 0
                for n in range(8):
                    ctx.set(dut.sdi, byte >> 7 - n & 1)
                    await ctx.tick().repeat(half)
                    ctx.set(dut.sck, 1)
                    value = value << 1 | ctx.get(dut.sdo)
                    await ctx.tick().repeat(half)
                    ctx.set(dut.sck, 0)
                heard.append(value)
            await ctx.tick().repeat(half)
            ctx.set(dut.cs, 1)
            await ctx.tick().repeat(3 * half)

    async def target(ctx):
        assert bytes(await receive(ctx, dut.o, len(there), stalls(half, 0.2))) == there

    async def source(ctx):
        await send(ctx, dut.i, back)

    simulate(dut, controller, target, source, watch=[dut.o])
    assert bytes(heard[:12]) == back and not any(heard[12:])


class SpiLink(wiring.Component):
    """A link behind an SPI bus, as in a board."""

    def __init__(self):
        super().__init__({"sck": In(1), "cs": In(1, init=1), "sdi": In(1), "sdo": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.spi, m.submodules.link = spi, link = SpiTarget(), Link()
        connect(m, spi.o, link.i)
        connect(m, link.o, spi.i)
        m.d.comb += [spi.sck.eq(self.sck), spi.cs.eq(self.cs), spi.sdi.eq(self.sdi),
                     self.sdo.eq(spi.sdo)]
        return m


def test_link_over_spi():
    """Zeros in both directions where there is nothing to say."""
    dut, unframer, got = SpiLink(), Unframer(), []

    async def controller(ctx):
        ctx.set(dut.cs, 0)
        await ctx.tick().repeat(8)
        data = frame(request(Kind.HELLO, 5, 0, b"spi!"))
        while not got:
            byte, data, value = (*data[:1], 0)[0], data[1:], 0
            for n in range(8):
                ctx.set(dut.sdi, byte >> 7 - n & 1)
                await ctx.tick().repeat(4)
                ctx.set(dut.sck, 1)
                value = value << 1 | ctx.get(dut.sdo)
                await ctx.tick().repeat(4)
                ctx.set(dut.sck, 0)
            got.extend(unframer.feed(bytes([value])))

    simulate(dut, controller)
    assert got == [b"\5\0spi!" + INFO.to_bytes(4, "little")] and unframer.bad == 0


# Receiver and sender

def spoil(rng, raw):
    """``raw`` with a fault of any kind."""
    raw, place = bytearray(raw), rng.randrange(len(raw) - 1)
    match rng.randrange(4):
        case 0:
            raw[place] ^= 1 << rng.randrange(8)
        case 1:
            del raw[place]
        case 2:
            raw.insert(place, raw[place])
        case 3:
            del raw[place:-1]
    return bytes(raw)


@pytest.mark.parametrize("p_valid, p_ready", STALLS)
def test_receiver_passes_intact_frames_alone(p_valid, p_ready):
    rng, dut = random.Random(f"{p_valid}/{p_ready}"), FrameReceiver()
    raw, want = b"\0\0", b""
    for number in range(8):
        body = bytes(rng.choice((0, rng.randrange(256))) for _ in range(rng.randint(5, 30)))
        body = bytes([body[0] & 0x7f]) + body[1:]
        if number == 5 and p_valid == p_ready == 1:
            body = bytes(range(249))  # the longest
        good = frame(body)
        for _ in range(rng.randrange(3)):
            bad = spoil(rng, good)
            if not Unframer().feed(bad):  # a delimiter that doubled leaves a frame intact
                raw += bad
        # What spoils a delimiter spoils what follows; a delimiter more is no frame.
        raw += b"\0" + good
        want += bytes([len(body) + 4]) + body + zlib.crc32(body).to_bytes(4, "little")

    async def producer(ctx):
        await send(ctx, dut.i, raw, stalls("in", p_valid))

    async def consumer(ctx):
        assert bytes(await receive(ctx, dut.o, len(want), stalls("out", p_ready))) == want

    simulate(dut, producer, consumer, watch=[dut.o], cycles=60_000)


def test_receiver_drops_what_is_too_short_too_long_or_finds_no_room():
    dut, done = FrameReceiver(), []
    short, longest, body = frame(b"\1\2\3\4"), frame(b"\1" * 249), b"\1" * 200
    long = b"".join(bytes([255]) + b"\1" * 254 for _ in range(3)) + b"\0"
    longer = frame(b"\1" * 120 + b"\0" + b"\2" * 150)
    raw = (frame(b"") + short + long + longer + frame(body) + longest + frame(body)
           + frame(b"\2" * 20) + frame(b"\3" * 40))

    async def producer(ctx):
        await send(ctx, dut.i, raw)
        done.append(True)

    async def consumer(ctx):
        got = []
        while not done:  # the ring fills up meanwhile
            await ctx.tick()
        for length in (204, 253, 24):
            got.append(bytes(await receive(ctx, dut.o, length + 1)))
        assert [frame_[0] for frame_ in got] == [204, 253, 24]
        assert got[2][1:21] == b"\2" * 20
        await ctx.tick().repeat(100)
        assert not ctx.get(dut.o.valid)

    simulate(dut, producer, consumer, cycles=40_000)
    assert 205 + 254 + 25 <= RING < 205 + 254 + 25 + 45


def test_receiver_drops_a_frame_for_which_room_comes_too_late():
    dut, taken = FrameReceiver(), []
    bodies = b"\1" * 240, b"\2" * 200, b"\3" * 100, b"\4" * 10

    async def producer(ctx):
        raw = b"".join(map(frame, bodies))
        end = len(raw) - len(frame(bodies[3])) - 10
        await send(ctx, dut.i, raw[:end])
        taken.append(True)  # the ring is full, and the third frame is not over
        await ctx.tick().repeat(1200)
        await send(ctx, dut.i, raw[end:])

    async def consumer(ctx):
        while not taken:
            await ctx.tick()
        for body in (bodies[0], bodies[1], bodies[3]):
            got = bytes(await receive(ctx, dut.o, len(body) + 5))
            assert got[0] == len(body) + 4 and got[1:-4] == body

    simulate(dut, producer, consumer, cycles=40_000)


def test_receiver_forgets_what_is_before_an_abort():
    dut, aborts = FrameReceiver(), []
    raw = frame(b"\1" * 9) + frame(b"\2" * 9) + frame(b"\x80" * 9)

    async def producer(ctx):
        await send(ctx, dut.i, raw)

    async def consumer(ctx):
        assert (await receive(ctx, dut.o, 4))[1:] == [1, 1, 1]
        while not aborts:
            await ctx.tick()
        assert (await receive(ctx, dut.o, 10)) == [13] + [0x80] * 9

    async def listen(ctx):
        async for *_, abort in ctx.tick().sample(dut.clear):
            if abort:
                aborts.append(True)

    simulate(dut, producer, consumer, background=[listen])
    assert len(aborts) == 1


@pytest.mark.parametrize("p_valid, p_ready", STALLS)
def test_sender(p_valid, p_ready):
    rng, dut = random.Random(1), FrameSender()
    bodies = [b"\0", b"\1", b"\0\1\0\0"] + [
        bytes(rng.choice((0, rng.randrange(256))) for _ in range(rng.randint(2, 40)))
        for _ in range(4)]
    if p_valid == p_ready == 1:
        bodies += [bytes(249), bytes(range(1, 250))]
    want = b"\0" + b"".join(map(frame, bodies))

    async def producer(ctx):
        await send(ctx, dut.i, [{"byte": byte, "last": n == len(body) - 1}
                                for body in bodies for n, byte in enumerate(body)],
                   stalls("in", p_valid))

    async def consumer(ctx):
        assert bytes(await receive(ctx, dut.o, len(want), stalls("out", p_ready))) == want

    simulate(dut, producer, consumer, watch=[dut.o], cycles=60_000)


# The whole link

def request(kind, sequence, address=0, payload=b""):
    return bytes([kind, sequence]) + address.to_bytes(3, "little") + payload


class Device:
    """What the link promises, in Python: answers, and commands (write, address, word)."""

    def __init__(self):
        self.expected, self.log = None, []

    def answer(self, body):
        kind, sequence, address, payload = (body[0], body[1], int.from_bytes(body[2:5], "little"),
                                            body[5:])

        def reply(status, data=b""):
            return bytes([sequence, status]) + data

        if kind not in set(Kind):
            return reply(Status.REFUSED)
        if kind in {Kind.HELLO, Kind.ABORT}:
            self.expected = (sequence + 1) % 256
            return reply(Status.OK, payload + INFO.to_bytes(4, "little"))
        if self.expected is None:
            return reply(Status.CLOSED)
        ahead = (sequence - self.expected) % 256
        if 0 < ahead < 128:
            return reply(Status.GAP)
        self.expected = (self.expected + (ahead == 0)) % 256
        data = b""
        if kind == Kind.WRITE and ahead == 0:
            for n in range(len(payload) // 4):
                word = int.from_bytes(payload[4 * n:4 * n + 4], "little")
                self.log.append((1, address + n, word))
        elif kind == Kind.READ:
            for n in range(payload[0]):
                word = zlib.crc32(bytes([n, sequence]))  # whatever the accelerator says
                data += word.to_bytes(4, "little")
                self.log.append((0, address + n, word))
        return reply(Status.OK, data)


def bodies_of(rng, count):
    """Requests in order, and such that were done, are too early, or are of no kind."""
    yield request(Kind.READ, 7, 0, b"\1")
    sequence = rng.randrange(256)
    yield request(Kind.HELLO, sequence, 0, rng.randbytes(4))
    for _ in range(count):
        address, words = 0x400000 + rng.randrange(8), rng.choice((0, 1, 2, 5))
        step = rng.choice((1, 1, 1, 1, 0, -3, 2, 127))
        kind = rng.choice((Kind.WRITE, Kind.READ, Kind.WAIT, Kind.WRITE, 0x44))
        payload = {Kind.WRITE: rng.randbytes(4 * words), Kind.READ: bytes([words])}.get(kind, b"")
        yield request(kind, (sequence + step) % 256, address, payload)
        sequence = (sequence + (step == 1 and kind != 0x44)) % 256
    yield request(Kind.HELLO, 200, 0, rng.randbytes(4))
    yield request(Kind.WRITE, 201, 0x400000, rng.randbytes(4 * WORDS))
    yield request(Kind.READ, 202, 0x400000, bytes([WORDS]))


@functools.cache
def compiled():
    return CompiledSim(Link())


@pytest.mark.parametrize("probability", [1.0, 0.5, 0.1])
def test_link_does_each_command_once_and_in_order(probability):
    rng, sim, device = random.Random(probability), compiled(), Device()
    sim.reset()
    sim.stall(1, probability)
    sim.set("done", 1)
    raw, want = b"", b"\0"
    for body in bodies_of(rng, 300):
        spoilt = spoil(rng, frame(body))
        raw += b"" if Unframer().feed(spoilt) else spoilt
        raw += b"\0" + frame(body)
        want += frame(device.answer(body))
    commands = device.log
    sim.push("i", np.frombuffer(raw, np.uint8))
    sim.push("answers", np.array([data for write, _, data in commands if not write]))
    sim.run({"o": len(want), "commands": len(commands)})
    got = sim.pull("commands")
    assert bytes(sim.pull("o").tolist()) == want
    assert len(commands) > 100
    for write, address, data, (is_write, at, value) in zip(
            got["write"], got["address"], got["data"], commands, strict=True):
        assert (write, address) == (is_write, at) and (not write or data == value)


def test_wait_and_abort():
    """A wait is answered once nothing runs; an abort cuts it, and a command nobody takes."""
    dut, unframer, aborts = Link(), Unframer(), []

    async def exchange(ctx, body):
        got = []
        await send(ctx, dut.i, frame(body))
        while not got:
            got = unframer.feed(bytes(await receive(ctx, dut.o, 1)))
        return got[0]

    async def host(ctx):
        hello = INFO.to_bytes(4, "little")
        assert await exchange(ctx, request(0, 9, 0, b"abcd")) == b"\x09\0abcd" + hello
        await send(ctx, dut.i, frame(request(Kind.WAIT, 10)))
        await ctx.tick().repeat(500)
        assert not ctx.get(dut.o.valid)
        ctx.set(dut.done, 1)
        assert unframer.feed(bytes(await receive(ctx, dut.o, 8))) == [b"\x0a\0"]
        ctx.set(dut.done, 0)
        for stuck in (request(Kind.WAIT, 11), request(Kind.WRITE, 11, 5, b"1234"),
                      request(Kind.READ, 11, 5, b"\1")):
            before = len(aborts)
            await send(ctx, dut.i, frame(stuck))
            await ctx.tick().repeat(200)
            assert len(aborts) == before
            answer = await exchange(ctx, request(Kind.ABORT, 10, 0, b"efgh"))
            assert answer == b"\x0a\0efgh" + hello and len(aborts) == before + 1

    async def listen(ctx):
        async for *_, abort in ctx.tick().sample(dut.clear):
            if abort:
                aborts.append(True)

    simulate(dut, host, background=[listen])


@settings(max_examples=10, deadline=None)
@given(st.binary(max_size=300))
def test_link_answers_after_any_noise(noise):
    dut = Link()

    async def host(ctx):
        unframer, got = Unframer(), []
        await send(ctx, dut.i, noise + b"\0" + frame(request(Kind.HELLO, 3, 0, b"wxyz")))
        while not got:
            got = unframer.feed(bytes(await receive(ctx, dut.o, 1)))
        assert got == [b"\x03\0wxyz" + INFO.to_bytes(4, "little")]

    simulate(dut, host)


# The page

def page_frames():
    lines = (ROOT / "docs" / "link.md").read_text().splitlines()
    hexes = [re.search(r"(?:[0-9a-f]{2} )+[0-9a-f]{2}$", line) for line in lines]
    return [bytes.fromhex(match[0]) for match in hexes if match]


def test_frames_of_the_page():
    hello, sent, answer, answered, write, written, done, read, words = page_frames()
    device = Device()
    assert sent == frame(hello) and written == frame(write)
    assert device.answer(hello) == answer and answered == frame(answer)
    assert Unframer().feed(done) == [device.answer(write)]
    assert device.log == [(1, 0x400000, 0x44332211), (1, 0x400001, 0x01000000)]
    body, = Unframer().feed(read)
    assert body == request(Kind.READ, 7, 0, b"\1")
    assert Unframer().feed(words) == [b"\7\0" + ID.to_bytes(4, "little")]
