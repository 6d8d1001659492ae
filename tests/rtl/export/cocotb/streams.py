"""A bench for any core with streams, run by cocotb inside a simulator.

``BENCH_IN`` names a JSON file with a list of cases: ``inputs`` (payloads as numbers, by stream),
``outputs`` (how many payloads to take, by stream), ``go`` and ``seed`` (the probability with which
a side of a stream goes ahead in a cycle), ``cycles`` (a limit). What the outputs delivered goes to
the file that ``BENCH_OUT`` names, in the same form.
"""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly


class Side:
    """Our side of one stream of the core."""

    def __init__(self, dut, name, go):
        self.name, self.go = name, go
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{name}__{end}") for end in ("valid", "ready", "payload"))

    def transferred(self):
        return bool(self.valid.value) and bool(self.ready.value)


class Source(Side):
    def __init__(self, dut, name, go, payloads):
        super().__init__(dut, name, go)
        self.payloads, self.sent, self.offered = payloads, 0, False
        self.valid.value = 0

    def drive(self):
        self.offered = self.sent < len(self.payloads) and (self.offered or self.go())
        self.valid.value = self.offered
        if self.offered:
            self.payload.value = self.payloads[self.sent]

    def look(self):
        if self.transferred():
            self.sent, self.offered = self.sent + 1, False

    def over(self):
        return self.sent == len(self.payloads)


class Sink(Side):
    def __init__(self, dut, name, go, count):
        super().__init__(dut, name, go)
        self.count, self.payloads, self.held = count, [], None
        self.ready.value = 0

    def drive(self):
        self.ready.value = len(self.payloads) < self.count and self.go()

    def look(self):
        valid = bool(self.valid.value)
        payload = int(self.payload.value) if valid else None
        assert self.held in (None, payload), f"{self.name} did not hold its payload"
        if self.transferred():
            self.payloads.append(payload)
        self.held = payload if valid and not self.ready.value else None

    def over(self):
        return len(self.payloads) == self.count


async def run(dut, case):
    rng = random.Random(case["seed"])

    def go():
        return rng.random() < case["go"]

    sinks = [Sink(dut, name, go, count) for name, count in case["outputs"].items()]
    sides = [Source(dut, name, go, payloads) for name, payloads in case["inputs"].items()] + sinks
    dut.rst.value = 1
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    for _ in range(case["cycles"]):
        for side in sides:
            side.drive()
        await ReadOnly()
        for side in sides:
            side.look()
        await FallingEdge(dut.clk)
        if all(side.over() for side in sides):
            return {sink.name: sink.payloads for sink in sinks}
    raise TimeoutError(f"still running after {case['cycles']} cycles")


@cocotb.test(timeout_time=1, timeout_unit="sec")
async def streams(dut):
    Clock(dut.clk, 10, "ns").start()
    cases = json.loads(Path(os.environ["BENCH_IN"]).read_text())
    await FallingEdge(dut.clk)
    outputs = [await run(dut, case) for case in cases]
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(outputs))
