# amaranth: UnusedElaboratable=no
"""The UART: pins to bytes, and bytes to pins."""

import pytest

from rtl.link import UartRx, UartTx, divisor_of
from sim.streams import receive, send, simulate, stalls


async def drive(ctx, pin, bytes_, bit):
    """Each byte as a UART sends it, ``bit`` clocks to a bit, whole or not."""
    clock = edge = 0
    for byte in bytes_:
        for level in (0, *(byte >> n & 1 for n in range(8)), 1):
            ctx.set(pin, level)
            edge += bit
            while clock < round(edge):
                await ctx.tick()
                clock += 1


@pytest.mark.parametrize("divisor, bit", [(4, 4), (5, 5), (8, 8), (16, 15.7),
                                          (16, 16.3), (30, 29.1)])
def test_uart_receives(divisor, bit):
    dut, data = UartRx(divisor=divisor), bytes([0, 255, 0x55, 0xaa, 1, 128, *range(20)])

    async def line(ctx):
        await drive(ctx, dut.pin, data, bit)
        for _ in range(divisor):
            await ctx.tick()

    async def check(ctx):
        assert bytes(await receive(ctx, dut.o, len(data))) == data

    simulate(dut, line, check, watch=[dut.o])


def test_uart_drops_glitches_and_bytes_without_stop_bit():
    dut = UartRx(divisor=8)

    async def line(ctx):
        for level, clocks in ((0, 3), (1, 20), (0, 8 * 10), (1, 16)):
            ctx.set(dut.pin, level)
            await ctx.tick().repeat(clocks)
        await drive(ctx, dut.pin, b"\x5a", 8)

    async def check(ctx):
        assert await receive(ctx, dut.o, 1) == [0x5a]

    simulate(dut, line, check)


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_uart_sends(divisor):
    dut, data, levels = UartTx(divisor=divisor), bytes([0, 255, 0x55, 0xc3]), []

    async def listen(ctx):
        async for *_, level in ctx.tick().sample(dut.pin):
            levels.append(level)

    async def bench(ctx):
        await send(ctx, dut.i, data, stalls(divisor, 0.05))
        await ctx.tick().repeat(12 * divisor)

    simulate(dut, bench, background=[listen])
    got, at = [], 0
    while 0 in levels[at:]:
        at = levels.index(0, at)
        bits = [levels[at + divisor * n:at + divisor * (n + 1)] for n in range(10)]
        assert all(len(set(bit)) == 1 for bit in bits) and bits[0][0] == 0 and bits[9][0] == 1
        got.append(sum(bit[0] << n for n, bit in enumerate(bits[1:9])))
        at += 10 * divisor - 1
    assert bytes(got) == data


def test_divisor():
    assert divisor_of(24_000_000, 3_000_000) == 8 and divisor_of(90_300_000, 3_000_000) == 30
    with pytest.raises(ValueError, match=r"^a clock of 25000000 Hz cannot give 3000000 baud "
                       r"within 2%; 3125000 or 2777777 baud it can$"):
        divisor_of(25_000_000, 3_000_000)
    with pytest.raises(ValueError, match=r"^3000000 baud needs a clock of 12000000 Hz or more, "
                       r"not 10000000$"):
        divisor_of(10_000_000, 3_000_000)
