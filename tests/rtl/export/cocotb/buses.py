"""A bench for a core on a bus with streams, run by cocotb inside a simulator.

``BENCH_IN`` names a JSON file: ``bus`` (axi or wishbone), ``go`` and ``seed`` (the probability with
which each side of each channel goes ahead in a cycle), ``cycles`` (a limit), and ``steps``, which
are done one after the other:

* ``["write", address, words]``: to ascending addresses of words
* ``["read", addresses]``
* ``["send", words]``: on ``s_axis``, until all are taken
* ``["receive"]``: a frame from ``m_axis``
* ``["irq"]``: wait until it is high

What each step gave goes to the file that ``BENCH_OUT`` names: words, or null for one that was
refused; for a write, whether each word was accepted.
"""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)

PERIOD = 10


class Axi:
    """Writes overlap with those that follow, and their addresses with their data."""

    def __init__(self, dut, pause):
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel,
                        read.r_channel):
            channel.set_pause_generator(pause())

    async def write(self, address, words):
        events = [self.master.init_write(4 * (address + n), word.to_bytes(4, "little"))
                  for n, word in enumerate(words)]
        for event in events:
            await event.wait()
        return [event.data.resp == AxiResp.OKAY for event in events]

    async def read(self, addresses):
        events = [self.master.init_read(4 * address, 4) for address in addresses]
        for event in events:
            await event.wait()
        assert {event.data.resp for event in events} <= {AxiResp.OKAY, AxiResp.SLVERR}
        return [int.from_bytes(event.data.data, "little") if event.data.resp == AxiResp.OKAY
                else None for event in events]


class Wishbone:
    """Classic cycles."""

    def __init__(self, dut, pause):
        self.dut, self.pause = dut, pause()
        self.idle()

    def idle(self):
        self.dut.wb_cyc.value = self.dut.wb_stb.value = 0

    async def access(self, address, we, data=0):
        dut = self.dut
        while next(self.pause):
            self.idle()
            await FallingEdge(dut.clk)
        for signal, value in ((dut.wb_cyc, 1), (dut.wb_stb, 1), (dut.wb_we, we), (dut.wb_sel, 15),
                              (dut.wb_adr, address), (dut.wb_dat_w, data)):
            signal.value = value
        await RisingEdge(dut.clk)
        while not (dut.wb_ack.value or dut.wb_err.value):
            await RisingEdge(dut.clk)
        good, word = bool(dut.wb_ack.value), int(dut.wb_dat_r.value)
        await FallingEdge(dut.clk)
        self.idle()
        return word if good else None

    async def write(self, address, words):
        return [await self.access(address + n, 1, word) is not None
                for n, word in enumerate(words)]

    async def read(self, addresses):
        return [await self.access(address, 0) for address in addresses]


@cocotb.test()
async def buses(dut):
    request = json.loads(Path(os.environ["BENCH_IN"]).read_text())
    rng = random.Random(request["seed"])

    def pause():
        while True:
            yield rng.random() >= request["go"]

    Clock(dut.clk, PERIOD, "ns").start()
    master = {"axi": Axi, "wishbone": Wishbone}[request["bus"]](dut, pause)
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    for side in (source, sink):
        side.set_pause_generator(pause())
    dut.rst.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await FallingEdge(dut.clk)

    async def step(kind, *values):
        match kind:
            case "write":
                return await master.write(*values)
            case "read":
                return await master.read(*values)
            case "send":
                await source.send(b"".join(word.to_bytes(4, "little") for word in values[0]))
                await source.wait()
            case "receive":
                frame = bytes((await sink.recv()).tdata)
                return [int.from_bytes(frame[at:at + 4], "little")
                        for at in range(0, len(frame), 4)]
            case "irq":
                while not dut.irq.value:
                    await RisingEdge(dut.clk)
                await FallingEdge(dut.clk)

    async def steps():
        return [await step(*each) for each in request["steps"]]

    results = await with_timeout(steps(), request["cycles"] * PERIOD, "ns")
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(results))
