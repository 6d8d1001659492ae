# amaranth: UnusedElaboratable=no
"""The emitted Verilog under cocotb, by a bench that knows nothing of this project."""

import functools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Shape
from cocotb_tools.runner import get_runner

from rtl.accelerator.registers import ID, OFFSET_BITS, Register, Window
from rtl.bus import STREAMS, BusAccelerator, StreamRegister
from rtl.conv2d import Conv2d
from rtl.export.verilog import emit_verilog
from rtl.gemm import Gemm
from rtl.im2col import ConvShape, Im2col, Im2colParams
from rtl.params import ArrayParams
from sim.compiled import find_verilator
from sim.golden.array import matmul
from sim.golden.conv import conv2d_acc
from sim.golden.im2col import im2col_vectors, raster_words
from sim.golden.requantize import requantize
from sim.packing import pack, unpack
from systolith.compiler import compile_graph
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import fit, small_build
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.gemm_plan import GemmPlan
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.driver import AcceleratorDriver
from systolith.zoo.digits import held_out, model_bytes

BENCHES = Path(__file__).with_name("cocotb")
STALLS = 1.0, 0.6, 0.3


@pytest.fixture(params=["verilator", "icarus"])
def simulator(request, monkeypatch):
    if request.param == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on the PATH (Debian: apt-get install iverilog)")
    return prepared(request.param, monkeypatch)


@pytest.fixture(params=["quick", pytest.param("verilator", marks=pytest.mark.heavy)])
def simulator_of_large_cores(request, monkeypatch):
    """Icarus, if it is there: Verilator's compilation takes longer than the simulation."""
    quick = request.param == "quick" and shutil.which("iverilog")
    return prepared("icarus" if quick else "verilator", monkeypatch)


def prepared(name, monkeypatch):
    if name == "verilator":
        _, environment = find_verilator()
        for variable in "VERILATOR_ROOT", "PATH":
            monkeypatch.setenv(variable, environment[variable])
        # Without the first two the precompiled header is taken for an object file; without the rest
        # g++ optimises a runtime that is used for a second.
        monkeypatch.setenv("MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG= "
                                        "OPT_GLOBAL=-O0 OPT_FAST=-O0")
    monkeypatch.syspath_prepend(BENCHES)
    return name


def numbers(shape, fields):
    """Payloads as numbers, as cocotb takes them."""
    return [int.from_bytes(row.tobytes(), "little") for row in pack(shape, fields)]


def one(fields):
    return {name: one(value) if isinstance(value, dict) else np.array([value])
            for name, value in fields.items()}


def values(shape, payloads):
    """The inverse of :func:`numbers`."""
    size = -(-Shape.cast(shape).width // 8)
    raw = b"".join(payload.to_bytes(size, "little") for payload in payloads)
    return unpack(shape, np.frombuffer(raw, np.uint8).reshape(-1, size))


def run(simulator, bench, component, request, folder):
    """What a bench of ``tests/cocotb`` answers to ``request``."""
    (folder / "core.v").write_text(emit_verilog(component, "core"))
    (folder / "in.json").write_text(json.dumps(request))
    runner = get_runner(simulator)
    build = folder.parent / simulator  # of all tests, so that the runtime is compiled once
    runner.build(sources=[folder / "core.v"], hdl_toplevel="core", build_dir=build,
                 timescale=("1ns", "1ps"), log_file=folder / "build.log",
                 build_args=["-Wno-fatal", "-Wno-lint"] if simulator == "verilator" else [])
    files = {"BENCH_IN": str(folder / "in.json"), "BENCH_OUT": str(folder / "out.json")}
    try:
        runner.test(hdl_toplevel="core", test_module=bench, build_dir=build, test_dir=folder,
                    log_file=folder / "test.log", results_xml=str(folder / "results.xml"),
                    extra_env=files)
    except SystemExit:
        pytest.fail((folder / "test.log").read_text()[-3000:])
    return json.loads((folder / "out.json").read_text())


def run_streams(simulator, component, cases, folder):
    """Run ``cases``, with payloads as for :func:`pack`; returns what each output delivered."""
    def payload(name):
        return component.signature.members[name].signature.members["payload"].shape

    delivered = run(simulator, "streams", component, [{
        **case,
        "inputs": {name: numbers(payload(name), fields) for name, fields in case["inputs"].items()},
    } for case in cases], folder)
    return [{name: values(payload(name), payloads) for name, payloads in outputs.items()}
            for outputs in delivered]


def int8(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def test_gemm(simulator, tmp_path):
    core = Gemm(ArrayParams(rows=3, cols=4), depth=16, drain_lanes=2, requantize=0)
    rng = np.random.default_rng(0)
    plans, cases, products = [], [], []
    for go in STALLS:
        a, b = int8(rng, 20, 10), int8(rng, 10, 7)
        plan = GemmPlan(Machine.of_core(core), a, b)
        plans.append(plan)
        products.append(matmul(a, b))
        cases.append({"inputs": {"i": plan.vectors(), "weights": plan.weights()},
                      "outputs": {"o": plan.beats}, "go": go, "seed": 0, "cycles": 10_000})
    for plan, product, out in zip(plans, products, run_streams(simulator, core, cases, tmp_path),
                                  strict=True):
        np.testing.assert_array_equal(plan.gather(out["o"]["acc"]), product)


def test_im2col(simulator, tmp_path):
    params = Im2colParams(rows=5, buffer_bytes=256, max_lines=16, output_register=True)
    shape = ConvShape(height=7, width=6, channels=3, kernel=(3, 2), stride=(2, 1), images=2,
                      padding=((1, 0), (2, 1)))
    rng = np.random.default_rng(0)
    cases, vectors = [], []
    for go in STALLS:
        images = int8(rng, 2, 7, 6, 3)
        vectors.append(im2col_vectors(
            images, kernel=shape.kernel, stride=shape.stride, dilation=shape.dilation,
            padding=shape.padding, rows=5, band=2, tiles=2, pad=-9))
        config = shape.config(params, band=2, tiles=2, pad=-9)
        cases.append({"inputs": {"config": one(config), "i": raster_words(images, 8)},
                      "outputs": {"o": len(vectors[-1])}, "go": go, "seed": 1, "cycles": 10_000})
    for expected, out in zip(vectors, run_streams(simulator, Im2col(params), cases, tmp_path),
                             strict=True):
        np.testing.assert_array_equal(out["o"]["data"], expected)


def test_conv2d(simulator, tmp_path):
    core = Conv2d(ArrayParams(rows=4, cols=4, fir_rows=2), depth=32, drain_lanes=2, requantize=2,
                  buffer_bytes=512, max_lines=16, max_images=2)
    rng = np.random.default_rng(0)
    plans, cases, outputs = [], [], []
    for go, groups, filters in zip(STALLS, (1, 6, 2), (5, 6, 4), strict=True):
        shape = ConvShape(height=5, width=6, channels=6, kernel=(3, 3), groups=groups,
                          padding=((1, 1), (1, 1)))
        weights = int8(rng, filters, 3, 3, 6 // groups)
        layer = ConvLayer(
            shape=shape, weights=weights, bias=rng.integers(-9999, 9999, filters),
            multiplier=rng.integers(1 << 30, 1 << 31, filters), shift=np.full(filters, 8),
            input_zero_point=5, zero_point=-3)
        images = int8(rng, 1, 5, 6, 6)
        acc = conv2d_acc(images, weights, layer.bias, input_zero_point=5, padding=shape.padding)
        outputs.append(requantize(acc, 0, layer.multiplier, layer.shift, -3))
        plan = ConvPlan(Machine.of_core(core), layer)
        plans.append(plan)
        cases.append({
            "inputs": {"config": one(plan.config()), "i": plan.words(images),
                       "weights": plan.weights(), "params": plan.channel_params()},
            "outputs": {"o": plan.beats}, "go": go, "seed": 2, "cycles": 20_000})
    for plan, expected, out in zip(plans, outputs, run_streams(simulator, core, cases, tmp_path),
                                   strict=True):
        np.testing.assert_array_equal(plan.gather(out["o"]["data"]), expected)


OWN = STREAMS << OFFSET_BITS
ACTIVATIONS = Window.ACTIVATIONS << OFFSET_BITS


class BusDriver(AcceleratorDriver):
    """Steps for the bench: what is long goes by the streams, the rest by the bus.

    ``results()`` are what all steps gave, and may be asked for when there are no more to come.
    """

    def __init__(self, params, results):
        self.params, self.steps, self.results = params, [], results

    def _step(self, *step):
        self.steps.append(step)
        return len(self.steps) - 1

    def _transfer(self, register, address, count):
        for offset, value in ((0, address), (1, count)):
            self._step("write", OWN + register + offset, [value])

    def post_write(self, address, words):
        words = np.asarray(words).tolist()
        if len(words) < 4:
            self._step("write", address, words)
            return
        self._transfer(StreamRegister.IN_ADDRESS, address, len(words))
        self._step("send", words)

    def post_read(self, addresses):
        first, count = int(addresses[0]), len(addresses)
        if count < 4 or first < ACTIVATIONS or np.any(np.diff(addresses) != 1):
            step = self._step("read", np.asarray(addresses).tolist())
        else:
            self._transfer(StreamRegister.OUT_ADDRESS, first, count)
            step = self._step("receive")
        return lambda: np.array(self.results()[step], np.uint32)

    def post_wait(self):
        self._step("irq")
        self._step("write", OWN + StreamRegister.INTERRUPT, [0])


@pytest.mark.parametrize("bus, go", [("axi", 0.7), ("wishbone", 0.9)])
def test_digits_on_a_bus(simulator_of_large_cores, bus, go, tmp_path):
    """Every tensor as the golden model has it, what is illegal refused, the rest unharmed."""
    graph, x = read_tflite(model_bytes()), held_out().images[:1]
    # But for softmax, which the host computes.
    graph = replace(graph, operators=graph.operators[:-1], outputs=graph.operators[-1].inputs)
    params = fit(graph, small_build(4, 4, depth=16, buffer_bytes=512, activation_bytes=64,
                                    weight_bytes=64, channels=8, program_words=64), keep=True)
    core = BusAccelerator(params, bus=bus)

    @functools.cache
    def results():
        return run(simulator_of_large_cores, "buses", core, {
            "bus": bus, "go": go, "seed": 1, "cycles": 100_000,
            "steps": [*driver.steps, *illegal]}, tmp_path)

    # A word past the memory, one that can only be written, no memory at all, a read-only one.
    last, none = ACTIVATIONS + params.activation_bytes // 4 - 1, 6 << OFFSET_BITS
    illegal = [
        ("read", [last, last + 1, Register.ID, Window.WEIGHTS << OFFSET_BITS, none, OWN + 5]),
        ("write", last, [77, 78]), ("write", none, [0]),
        ("write", Window.CYCLES << OFFSET_BITS, [0]), ("read", [last])]
    driver = BusDriver(params, results)
    driver.load(compile_graph(graph, params, keep=True))
    done = driver.run(x)
    want = run_graph(graph, x)
    assert set(done.values) == set(want) - {None} and len(want) > 8
    for tensor, value in done.values.items():
        np.testing.assert_array_equal(value, want[tensor])
    assert 6_516 < done.cycles < 20_000  # 104 256 products, 16 a cycle
    assert {step[0] for step in driver.steps} == {"write", "read", "send", "receive", "irq"}
    assert all(all(answer) for step, answer in zip(driver.steps, results(), strict=False)
               if step[0] == "write")
    reads, writes, *none_written, again = results()[len(driver.steps):]
    assert reads[1:] == [None, ID, None, None, None] and reads[0] is not None
    assert (writes, none_written, again) == ([True, False], [[False], [False]], [77])
