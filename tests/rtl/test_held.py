# amaranth: UnusedElaboratable=no
"""Proofs by induction that streams hold their payloads: once valid, both stay until ready.

Each core is proved with all its inputs free, but that the streams into it obey the same rule and
that what is said to hold does. Told that it is never stalled, the same core must be refuted.
"""

import tempfile
from pathlib import Path

import pytest
from amaranth import *
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume
from amaranth.lib.wiring import In
from pyosys import libyosys

from rtl.accelerator.dma.activation_reader import ActivationReader
from rtl.accelerator.dma.address_generator import AddressGenerator
from rtl.accelerator.dma.weight_reader import ParamReader, SequenceReader
from rtl.accelerator.units.pool import Pool
from rtl.accelerator.units.residual import Residual
from rtl.bus.arbiter import CommandArbiter
from rtl.bus.axi_lite import AxiLite
from rtl.bus.wishbone import Wishbone
from rtl.conv2d import Conv2d
from rtl.gemm import Gemm
from rtl.im2col import Im2col, Im2colParams
from rtl.im2col.vectors import VectorGenerator
from rtl.layouts import bytes_of
from rtl.memory import Reader
from rtl.params import ArrayParams
from rtl.postprocess import Accumulators, Requantizer
from rtl.stream.skid_buffer import SkidBuffer

SMALL = ArrayParams(rows=2, cols=2)
LINES = {"buffer_bytes": 8, "max_lines": 4, "max_images": 2}
IM2COL, FIR = (Im2colParams(rows=2, fir=fir, **LINES) for fir in (False, True))


def accumulators(**options):
    return Accumulators(cols=2, depth=2, sums=bytes_of(2), **options)


#: What is proved: how to make it.
CORES = {
    "im2col": lambda: Im2col(IM2COL),
    "im2col fir": lambda: Im2col(FIR),
    "vectors": lambda: VectorGenerator(FIR),
    "accumulators": accumulators,
    "accumulators registered": lambda: accumulators(output_register=True),
    "accumulators lanes": lambda: accumulators(drain_lanes=2),
    "requantizer 1": lambda: Requantizer(),
    "requantizer float32": lambda: Requantizer(rounding="float32"),
    "requantizer both": lambda: Requantizer(rounding="both"),
    "requantizer 2": lambda: Requantizer(cycles=2),
    "requantizer 3": lambda: Requantizer(cycles=3, drain_lanes=2),
    "requantizer 4": lambda: Requantizer(cycles=4),
    "requantizer 6": lambda: Requantizer(cycles=6),
    "requantizer twice 1": lambda: Requantizer(rounding="both", twice=True),
    "requantizer twice 3": lambda: Requantizer(cycles=3, twice=True),
    "gemm int32": lambda: Gemm(SMALL, depth=2, requantize=0),
    "gemm 1": lambda: Gemm(SMALL, depth=2),
    "gemm 3": lambda: Gemm(SMALL, depth=2, requantize=3),
    "conv2d 1": lambda: Conv2d(SMALL, depth=2, **LINES),
    "conv2d 3": lambda: Conv2d(SMALL, depth=2, requantize=3, **LINES),
    "addresses": lambda: AddressGenerator(dims=2, address_bits=3, count_bits=2),
    "fetch": lambda: ActivationReader(address_bits=2, word_bytes=2, slots=2, count_bits=2),
    "weights": lambda: SequenceReader(width=8, depth=4, slots=2, count_bits=2),
    "reader": lambda: Reader(address_bits=2, width=2, slots=2, tag=1),
    "params": lambda: ParamReader(drain_lanes=2, width=32),
    "pool": lambda: Pool(word_bytes=2, drain_lanes=1),
    "skid buffer": lambda: SkidBuffer(2),
    "register slice": lambda: SkidBuffer(2, latency=1),
    "axi lite": AxiLite,
    "wishbone": Wishbone,
    "arbiter": CommandArbiter,
    "residual": lambda: Residual(word_bytes=2, drain_lanes=1, depth=2),
}

#: Inputs whose docstrings say that they hold while anything is under way.
STEADY = {"config", "float32", "maximum", "turned"}

#: What else is assumed of a core.
ASSUMED = {
    "im2col fir": lambda core: core.config.valid | ~core.o.valid,  # vectors are of the layer
    "addresses": lambda core: ~core.init | ~core.o.valid,          # a nest ends before the next
    "fetch": lambda core: ~core.init | ~core.port.requests.valid,
    "weights": lambda core: ~core.init | ~core.busy,
    # A response comes as its request is taken.
    "axi lite": lambda core: core.responses.valid == (core.requests.valid & core.requests.ready),
    "wishbone": lambda core: core.responses.valid == (core.requests.valid & core.requests.ready),
}

#: Cores whose counters no induction ties to each other.
COUNTING = ["fetch", "weights", "reader", "residual"]


class Held(Elaboratable):
    """``core`` with an assertion for each stream out of it, and assumptions on its inputs.

    With ``deaf`` the core's own ``ready`` are high, whatever those of its streams are.
    """

    def __init__(self, name, *, deaf=False):
        self.core, self.deaf = CORES[name](), deaf
        self.assumed = ASSUMED.get(name, lambda core: 1)(self.core)
        self.sync = ClockDomain("sync")
        self.inputs = [self.sync.clk, self.sync.rst]

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = self.sync
        m.submodules.core = self.core
        begun = Signal(reset_less=True)
        m.d.sync += begun.eq(1)
        for name, member in self.core.signature.members.items():
            port = getattr(self.core, name)
            if not member.is_port and "words" in member.signature.members:  # a memory's
                self.inputs += [port.words.valid, Value.cast(port.words.payload)]
                port = port.requests
            if member.is_port:
                if member.flow == In:
                    self.inputs.append(Value.cast(port))
                if name in STEADY:
                    m.d.comb += Assume(~begun | (Value.cast(port) == self.before(m, port)))
            elif member.flow == In:
                self.inputs += [port.valid, Value.cast(port.payload)]
                m.d.comb += Assume(self.held(m, port, port.ready))
            else:
                ready = Signal(name=f"{name}_ready")
                self.inputs.append(ready)
                m.d.comb += [port.ready.eq(1 if self.deaf else ready),
                             Assert(self.held(m, port, ready))]
        m.d.comb += Assume(self.assumed)
        return m

    def before(self, m, value):
        """``value`` in the cycle before, and 0 in the first one."""
        before = Signal.like(Value.cast(value), name="before", reset_less=True)
        m.d.sync += before.eq(value)
        return before

    def held(self, m, port, ready):
        waits = Signal()
        m.d.sync += waits.eq(port.valid & ~ready)
        payload = Value.cast(port.payload)
        return ~waits | (port.valid & (payload == self.before(m, payload)))


def verdict(name, options, *, deaf=False):
    """What Yosys says of a proof by temporal induction."""
    held, design = Held(name, deaf=deaf), libyosys.Design()
    text = rtlil.convert(held, name="top", platform="generic", ports=held.inputs, emit_src=False)
    with tempfile.TemporaryDirectory() as folder:
        source, log = Path(folder) / "top.il", Path(folder) / "log"
        source.write_text(text)
        for command in (f"read_rtlil {source}", "hierarchy -top top", "proc", "flatten",
                        "memory -nordff", "opt -fast", "async2sync", "chformal -lower", "opt -fast",
                        f"sat -tempinduct -prove-asserts -set-assumes {options} top"):
            design.run_pass(f"tee -q -o {log} {command}")
        return log.read_text()


@pytest.mark.parametrize("name", [name for name in CORES if name not in COUNTING])
def test_payloads_are_held(name):
    assert "Induction step proven: SUCCESS!" in verdict(name, "-maxsteps 2")


@pytest.mark.parametrize("name", COUNTING)
def test_payloads_are_held_for_a_while(name):
    """For 12 cycles from reset."""
    found = verdict(name, "-tempinduct-baseonly -maxsteps 12")
    assert "FAIL" not in found and "[base case 12]" in found, found


@pytest.mark.parametrize("name", [
    "im2col", "im2col fir", "vectors", "accumulators", "requantizer 2", "addresses", "fetch",
    "weights", "params", "pool", "axi lite", "arbiter"])
def test_deaf_cores_are_refuted(name):
    """From reset, by a trace of up to 40 cycles."""
    assert "model found for base case: FAIL!" in verdict(
        name, "-tempinduct-baseonly -maxsteps 40", deaf=True)
