import functools
import re
import shutil
import time

import numpy as np
import pytest
from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

import sim.compiled
from sim.compiled import CompiledSim, CompileError, ContractError

PAYLOAD = data.StructLayout({
    "wide": data.ArrayLayout(signed(9), 12), "small": signed(3), "flag": 1, "long": 63})
NONE, ALTERS, WITHDRAWS, HANGS = range(4)


class Echo(wiring.Component):
    """A register between two streams that can be told to break its contract."""

    i: In(stream.Signature(PAYLOAD))
    o: Out(stream.Signature(PAYLOAD))
    small: Out(stream.Signature(signed(3), always_ready=True))
    numbers: In(stream.Signature(8, always_valid=True))
    fault: In(range(4))
    sum: Out(signed(12))
    taken: Out(80)

    def elaborate(self, platform):
        m = Module()
        with m.If(~self.o.valid | self.o.ready):
            m.d.comb += self.i.ready.eq(self.fault != HANGS)
            m.d.sync += [self.o.valid.eq(self.i.valid & self.i.ready),
                         self.o.payload.eq(self.i.payload)]
        with m.Elif(self.fault == ALTERS):
            m.d.sync += self.o.payload.long.eq(self.o.payload.long + 1)
        with m.Elif(self.fault == WITHDRAWS):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.taken.eq(self.taken + (1 << 64)),
                         self.sum.eq(self.sum + self.i.payload.small)]
        m.d.comb += [
            self.small.valid.eq(self.i.valid & self.i.ready),
            self.small.payload.eq(self.i.payload.small),
            self.numbers.ready.eq(self.i.valid & self.i.ready),
        ]
        return m


@functools.cache
def echo():
    return CompiledSim(Echo())


def payloads(count, seed=0):
    rng = np.random.default_rng(seed)
    return {"wide": rng.integers(-256, 256, (count, 12)), "small": rng.integers(-4, 4, count),
            "flag": rng.integers(0, 2, count), "long": rng.integers(0, 1 << 63, count)}


def start(count=100, *, fault=NONE, seed=0, go=1.0):
    sim = echo()
    sim.set("fault", fault)
    sim.reset()
    sim.stall(seed, go)
    values = payloads(count)
    sim.push("i", values)
    sim.push("numbers", np.arange(count) % 256)
    return sim, values


@pytest.mark.parametrize("go", [1.0, 0.5, 0.1])
def test_delivers_what_was_pushed(go):
    sim, values = start(go=go)
    cycles = sim.run({"o": 100})
    delivered = sim.pull("o")
    assert all((delivered[name] == values[name]).all() for name in values)
    assert (sim.pull("small") == values["small"]).all()
    assert sim.get("sum") == values["small"].sum() and sim.get("sum") < 0
    assert sim.get("taken") == 100 << 64
    assert cycles == 101 if go == 1.0 else cycles > 100 / go


def test_stalls_are_the_same_with_the_same_seed():
    cycles = []
    for seed in 1, 2, 1:
        sim, _ = start(seed=seed, go=0.4)
        cycles.append(sim.run({"o": 100}))
    assert cycles[0] == cycles[2] != cycles[1]


def test_records_transfers():
    sim, _ = start()
    begin = sim.cycle
    sim.run({"o": 100})
    assert sim.record("o") == (100, begin + 1, begin + 100)
    assert sim.record("i")[1:] == (begin, begin + 99)
    assert sim.cycle == begin + 101


def test_goes_on_with_what_is_queued():
    sim, values = start()
    for part in range(4):
        sim.run({"o": 25})
        assert (sim.pull("o")["long"] == values["long"][25 * part:25 * part + 25]).all()
    sim, values = start()
    sim.run({"i": 30, "o": 29})
    sim.run({"o": 70})
    sim.reset()
    with pytest.raises(TimeoutError):
        sim.run({"o": 1}, idle=10)


@pytest.mark.parametrize("fault", [ALTERS, WITHDRAWS])
def test_notices_a_payload_that_is_not_held(fault):
    sim, _ = start(fault=fault)
    sim.run({"o": 100})  # never stalled, so never broken
    sim, _ = start(fault=fault, go=0.5)
    with pytest.raises(ContractError,
                       match=r"^stream o did not hold its payload in cycle \d+$"):
        sim.run({"o": 100})


def test_gives_up_when_nothing_moves():
    sim, _ = start(fault=HANGS)
    before = sim.cycle
    with pytest.raises(TimeoutError, match=r"^nothing moved for 50 cycles; transfers so far: i 0, "
                                           r"o 0 of 100, small 0, numbers 0$"):
        sim.run({"o": 100}, idle=50)
    assert sim.cycle == before + 51


def test_gives_up_after_so_many_cycles():
    sim, _ = start()
    with pytest.raises(TimeoutError, match=r"^after 40 cycles; transfers so far: i 40, o 39 of "
                                           r"100, small 40, numbers 40$"):
        sim.run({"o": 100}, cycles=40)


def test_refuses():
    sim = echo()
    for call in (lambda: sim.push("x", payloads(1)), lambda: sim.pull("x"),
                 lambda: sim.record("x"), lambda: sim.run({"x": 1})):
        with pytest.raises(ValueError,
                           match=r"^stream must be one of i, o, small, numbers, not 'x'$"):
            call()
    with pytest.raises(ValueError, match=r"^payload must be between 0 and 3, not from 4 to 4$"):
        sim.set("fault", 4)


def test_compiles_once(monkeypatch):
    echo()

    def refuse(*_):
        pytest.fail("compiled again")

    monkeypatch.setattr(sim.compiled, "_call", refuse)
    assert CompiledSim(Echo()).cycle == 0


def test_finds_a_simulator_by_its_key(monkeypatch):
    """Without elaboration, unless anything that makes it has changed."""
    CompiledSim(Echo(), key="a")
    elaborated = []

    def emit(*args, **kwargs):
        elaborated.append(args)
        return emit_verilog(*args, **kwargs)

    emit_verilog = sim.compiled.emit_verilog
    monkeypatch.setattr(sim.compiled, "emit_verilog", emit)
    assert CompiledSim(Echo(), key="a").cycle == 0 and not elaborated
    CompiledSim(Echo(), key=f"b{time.time()}")
    assert len(elaborated) == 1
    changed = f"{sim.compiled._sources()}{time.time()}"
    monkeypatch.setattr(sim.compiled, "_sources", lambda: [changed])
    CompiledSim(Echo(), key="a")
    assert len(elaborated) == 2


def test_writes_waveforms(tmp_path, capfd):
    path = tmp_path / "echo.vcd"
    traced = CompiledSim(Echo(), trace=path)
    traced.push("i", payloads(3))
    traced.push("numbers", np.arange(3))
    traced.run({"o": 3})
    traced.reset()
    traced.close()
    text = path.read_text()
    for signal in "clk", "o__valid", "i__payload", "sum":
        assert re.search(rf"\$var wire +\d+ \S+ {signal} ", text)
    times = [int(time) for time in re.findall(r"^#(\d+)$", text, re.MULTILINE)]
    assert len(times) >= 2 * 4 and times == sorted(set(times))
    assert "Warning" not in capfd.readouterr().err


def test_refuses_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(IsADirectoryError):
        CompiledSim(Echo(), trace=tmp_path)
    with pytest.raises(FileNotFoundError):
        CompiledSim(Echo(), trace=tmp_path / "none" / "echo.vcd")


@pytest.mark.parametrize("program", ["g++", "make", "perl"])
def test_names_the_program_that_is_missing(program, monkeypatch, tmp_path):
    for other in {"g++", "make", "perl"} - {program}:
        (tmp_path / other).symlink_to(shutil.which(other))
    monkeypatch.setenv("PATH", str(tmp_path))
    message = (f"the compiled simulation needs {program}, which is not on the PATH; install it "
               f"(Debian: apt-get install {program})")
    with pytest.raises(CompileError, match=f"^{re.escape(message)}$"):
        CompiledSim(Echo())


def test_tells_what_failed(monkeypatch):
    monkeypatch.setattr(sim.compiled, "emit_verilog", lambda *_, **__: "module top(; endmodule")
    with pytest.raises(CompileError, match=r"^Verilator failed:\n.*syntax error"):
        CompiledSim(Echo())
