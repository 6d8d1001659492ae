"""Cuts of streams: nothing is lost, doubled or reordered, nor delayed more than promised."""

import pytest

from rtl.stream.skid_buffer import SkidBuffer
from sim.streams import receive, send, simulate, stalls


@pytest.mark.parametrize("latency", [0, 1])
@pytest.mark.parametrize("p_valid, p_ready", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.4, 0.4)])
def test_passes_everything_on(latency, p_valid, p_ready):
    payloads = list(range(1, 200))
    dut, cycles = SkidBuffer(8, latency=latency), []

    async def producer(ctx):
        await send(ctx, dut.i, payloads, stalls(f"send {latency}", p_valid))

    async def consumer(ctx):
        assert await receive(ctx, dut.o, len(payloads),
                             stalls(f"take {latency}", p_ready)) == payloads

    async def count(ctx):
        """How many have entered, and have left, in each cycle."""
        entered = left = 0
        async for *_, enters, leaves in ctx.tick().sample(dut.i.valid & dut.i.ready,
                                                          dut.o.valid & dut.o.ready):
            entered, left = entered + enters, left + leaves
            cycles.append(entered - left)

    simulate(dut, producer, consumer, watch=[dut.i, dut.o], background=[count])
    # A spare word, and the register.
    assert max(cycles) == (latency if p_ready == 1 else 1 + latency)


@pytest.mark.parametrize("latency", [0, 1])
def test_loses_no_cycle(latency):
    """Taken in every second cycle, or in all: nothing is late."""
    dut = SkidBuffer(8, latency=latency)
    for every in (1, 2):
        taken = []

        async def producer(ctx):
            await send(ctx, dut.i, range(20))

        async def consumer(ctx, every=every, taken=taken):
            cycle = 0
            while len(taken) < 20:
                ctx.set(dut.o.ready, cycle % every == 0)
                *_, done, payload = await ctx.tick().sample(dut.o.valid & dut.o.ready,
                                                            dut.o.payload)
                taken += [(payload, cycle)] if done else []
                cycle += 1

        simulate(dut, producer, consumer)
        first = taken[0][1]
        assert first <= latency + every - 1
        assert taken == [(n, first + n * every) for n in range(20)]


def test_ready_does_not_wait_for_ready():
    """In the cycle in which the halt begins one word still enters, whatever comes out."""
    dut = SkidBuffer(8)

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        for ready in (0, 1):
            ctx.set(dut.o.ready, ready)
            assert ctx.get(dut.i.ready)
        ctx.set(dut.o.ready, 0)
        await ctx.tick()
        for ready in (0, 1):
            ctx.set(dut.o.ready, ready)
            assert not ctx.get(dut.i.ready)

    simulate(dut, bench)
