"""Drivers for streams in Amaranth's simulator: stalls at random, a watchdog always."""

import random
from functools import partial

from amaranth.sim import Simulator

__all__ = ["check_held", "receive", "send", "simulate", "stalls"]


def stalls(seed, probability):
    """A coin that says "go" with ``probability``; the same ``seed`` gives the same tosses."""
    rng = random.Random(f"{seed}/{probability}")
    return lambda: rng.random() < probability


async def send(ctx, stream, payloads, go=lambda: True):
    """Offer every payload in turn, each only once ``go()`` says so."""
    for payload in payloads:
        while not go():
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        while not (await ctx.tick().sample(stream.ready))[-1]:
            pass
        ctx.set(stream.valid, 0)


async def receive(ctx, stream, count, go=lambda: True):
    """Accept ``count`` payloads, with ``ready`` high in the cycles where ``go()`` says so."""
    received = []
    while len(received) < count:
        ctx.set(stream.ready, go())
        *_, done, payload = await ctx.tick().sample(stream.valid & stream.ready, stream.payload)
        received += [payload] if done else []
    ctx.set(stream.ready, 0)
    return received


async def check_held(ctx, stream):
    """Fail if a payload is withdrawn or altered before it is accepted."""
    held = None
    async for *_, valid, ready, payload in ctx.tick().sample(
            stream.valid, stream.ready, stream.payload):
        assert held is None or (valid and payload == held), f"{held!r} was not held"
        held = payload if valid and not ready else None


def simulate(dut, *benches, watch=(), background=(), cycles=20_000, vcd=None):
    """Run ``benches`` to their ends, holding the streams in ``watch`` to their contract.

    Benches in ``background`` go on until the others have ended. Raises :exc:`TimeoutError` after
    ``cycles`` clock cycles. ``vcd`` names a file for waveforms.
    """
    async def watchdog(ctx):
        for _ in range(cycles):
            await ctx.tick()
        raise TimeoutError(f"still running after {cycles} cycles")

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for bench in benches:
        sim.add_testbench(bench)
    for bench in (watchdog, *background, *(partial(check_held, stream=stream) for stream in watch)):
        sim.add_testbench(bench, background=True)
    if vcd is None:
        sim.run()
    else:
        with sim.write_vcd(vcd):
            sim.run()
