"""Drivers for streams in Amaranth's simulator: stalls at random, a watchdog always."""

import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.lib.stream import Interface
from amaranth.sim import Simulator, SimulatorContext

__all__ = ["Bench", "check_held", "receive", "send", "simulate", "stalls"]

Bench = Callable[[SimulatorContext], Awaitable[None]]


def stalls(seed: object, probability: float) -> Callable[[], bool]:
    """A coin that says "go" with ``probability``; the same ``seed`` gives the same tosses."""
    rng = random.Random(f"{seed}/{probability}")
    return lambda: rng.random() < probability


async def send(ctx: SimulatorContext, stream: Interface, payloads: Iterable[Any],
               go: Callable[[], bool] = lambda: True) -> None:
    """Offer every payload in turn, each only once ``go()`` says so."""
    for payload in payloads:
        while not go():
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        while not (await ctx.tick().sample(stream.ready))[-1]:
            pass
        ctx.set(stream.valid, 0)


async def receive(ctx: SimulatorContext, stream: Interface, count: int,
                  go: Callable[[], bool] = lambda: True) -> list[Any]:
    """Accept ``count`` payloads, with ``ready`` high in the cycles where ``go()`` says so."""
    received: list[Any] = []
    while len(received) < count:
        ctx.set(stream.ready, go())
        *_, done, payload = await ctx.tick().sample(stream.valid & stream.ready, stream.payload)
        received += [payload] if done else []
    ctx.set(stream.ready, 0)
    return received


async def check_held(ctx: SimulatorContext, stream: Interface) -> None:
    """Fail if a payload is withdrawn or altered before it is accepted."""
    held = None
    async for *_, valid, ready, payload in ctx.tick().sample(
            stream.valid, stream.ready, stream.payload):
        assert held is None or (valid and payload == held), f"{held!r} was not held"
        held = payload if valid and not ready else None


def simulate(dut: Elaboratable, *benches: Bench, watch: Iterable[Interface] = (),
             background: Iterable[Bench] = (), cycles: int = 20_000,
             vcd: str | Path | None = None) -> None:
    """Run ``benches`` to their ends, holding the streams in ``watch`` to their contract.

    Benches in ``background`` go on until the others have ended. Raises :exc:`TimeoutError` after
    ``cycles`` clock cycles. ``vcd`` names a file for waveforms.
    """
    async def watchdog(ctx: SimulatorContext) -> None:
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
