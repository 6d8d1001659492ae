"""What the accelerator does with programs that cannot be right, and with a host that gives up."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from rtl.accelerator import AcceleratorParams, Kind, descriptor_of, descriptor_words
from rtl.accelerator.build_registers import params_of
from rtl.accelerator.registers import Error, Register, Window
from rtl.params import ArrayParams
from systolith.cli.generate_docs import PAGES, fields_of
from systolith.compiler import Segment, compile_graph
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.digits import held_out, model_bytes

# Small memories, which random addresses leave often, and little stall_timeout.
PARAMS = AcceleratorParams(
    array=ArrayParams(rows=4, cols=4, fir_rows=3), drain_lanes=2, requantize=3, depth=64,
    buffer_bytes=2048, max_lines=64, activation_bytes=4096, weight_bytes=4 * 1910, channels=200,
    program_words=500, stall_timeout=1024, layer_timeout=1 << 15)


@functools.cache
def digits():
    graph, x = read_tflite(model_bytes()), held_out().images[:1]
    return graph, x, run_graph(graph, x)


@functools.cache
def accelerator():
    return SimulatedAccelerator(PARAMS)


@functools.cache
def compiled():
    return compile_graph(digits()[0], PARAMS)


def ready():
    """The accelerator with the network of digits loaded, and the program."""
    accelerator().load(compiled())
    return accelerator(), compiled()


def check(simulated):
    _, x, want = digits()
    run = simulated.run(x)
    for index, value in run.values.items():
        np.testing.assert_array_equal(value, want[index])
    return run


def patched(descriptors, layer, path, value):
    """The program with another value in one field."""
    words = descriptor_words(PARAMS)
    first, width = next((first, int(bits.split()[0])) for first, bits, each in
                        fields_of(descriptor_of(PARAMS)) if each == path)
    raw = descriptors.copy()
    mine = raw[layer * words:(layer + 1) * words]
    number = int.from_bytes(mine.tobytes(), "little")
    number &= ~(((1 << width) - 1) << first)
    number |= (value & (1 << width) - 1) << first
    mine[:] = np.frombuffer(number.to_bytes(4 * words, "little"), "<u4")
    return raw


@pytest.fixture
def loaded():
    yield ready()
    check(ready()[0])  # a good run after a bad one, without a reset between them


@pytest.mark.parametrize("layer, path, value, error", [
    (0, "kind", 9, "KIND"),
    (1, "fetch.base", 1023, "FETCH"),
    (2, "fetch.loops[0].step", -700, "FETCH"),
    (2, "store.walk.base", 4095, "STORE"),
    (2, "store.walk.loops[0].step", 4000, "STORE"),
    (0, "weights.base", 2000, "WEIGHTS"),
    (1, "weights.count", 2000, "WEIGHTS"),
    (3, "params.base", 201, "PARAMS"),
    (1, "params.repeats", 7, "PARAMS"),
    (2, "store.walk.loops[0].count", -4000, None),
    (0, "fetch.loops[0].count", 0, "CONV"),
    (0, "conv.tiles", 900, "CONV"),
    (1, "conv.y_count", 900, "CONV"),
    (1, "conv.x_count", 1000, "CONV"),
    (1, "conv.lines", 60, "CONV"),
    (2, "store.walk.loops[5].count", -9, "STALL"),
])
def test_errors_name_field_and_layer(loaded, layer, path, value, error):
    simulated, program = loaded
    simulated.write(Window.PROGRAM, patched(program.descriptors, layer, path, value)[:, None])
    expected = rf"^the accelerator stopped at layer {layer}: {error or 'STORE|STALL'}"
    with pytest.raises(RuntimeError, match=expected):
        simulated.run(digits()[1])


def test_programs_end_and_begin_within_memory(loaded):
    simulated, program = loaded
    words = descriptor_words(PARAMS)
    assert simulated.attempt(PARAMS.program_words) == Error.GO
    assert simulated.attempt(-1 % (1 << 32)) == Error.GO
    # The last descriptors of the memory, with no end behind them.
    last = PARAMS.program_words - 2 * words
    simulated.write(Window.PROGRAM, program.descriptors[:2 * words, None], base=last)
    assert simulated.attempt(last) == Error.PROGRAM
    assert simulated.read(Register.STATUS) >> 16 == 2


def test_programs_begin_anywhere(loaded):
    simulated, program = loaded
    here = check(simulated)
    simulated.write(Window.PROGRAM, np.zeros((len(program.descriptors), 1), "<u4"))
    simulated.write(Window.PROGRAM, program.descriptors[:, None], base=77)
    simulated.program = replace(program, steps=tuple(
        replace(step, start=step.start + 77) if isinstance(step, Segment) else step
        for step in program.steps))
    there = check(simulated)
    assert (there.cycles, there.layer_cycles) == (here.cycles, here.layer_cycles)


def test_layers_may_not_take_too_long(loaded):
    simulated, program = loaded
    layer = next(index for index, each in enumerate(program.layers) if each.kind == Kind.POOL)
    raw = program.descriptors
    for loop in range(2):
        raw = patched(raw, layer, f"fetch.loops[{loop}].count", -4095)
        raw = patched(raw, layer, f"fetch.loops[{loop}].step", 0)
    simulated.write(Window.PROGRAM, raw[:, None])
    with pytest.raises(RuntimeError, match=rf"^the accelerator stopped at layer {layer}: LONG"):
        simulated.run(digits()[1])


def test_host_may_stop_a_run():
    simulated, _ = ready()
    simulated.command(Register.GO, 0)
    assert simulated.read(Register.STATUS) & 1
    simulated.command(Register.STOP, 0)
    assert simulated.read(Register.STATUS) == Error.STOPPED << 8
    check(simulated)
    over = simulated.read(Register.STATUS)
    simulated.command(Register.STOP, 0)  # nothing runs
    assert simulated.read(Register.STATUS) == over and not over & 1


@pytest.mark.parametrize("changes, flag", [
    ({"pooling": False}, "POOLING"), ({"addition": False}, "ADDITION"),
    ({"pooling": False, "addition": False}, "POOLING, ADDITION")])
def test_compiler_names_what_a_build_lacks(changes, flag):
    with pytest.raises(ValueError, match=rf"^the network needs what this build does not have: "
                                         rf"{flag}$"):
        graph = digits()[0]
        graph = replace(graph, operators=tuple(  # means can do without
            replace(op, kind=op.kind.replace("AVERAGE", "MAX")) for op in graph.operators))
        compile_graph(graph, replace(PARAMS, **changes))


def test_lean_build():
    """Without the optional units and without prefetch: exact up to the layer that lacks a unit."""
    (_, x, want), (full, program) = digits(), ready()
    quick = check(full).layer_cycles
    lean = SimulatedAccelerator(replace(PARAMS, prefetch=False, pooling=False, addition=False))
    first = next(index for index, layer in enumerate(program.layers) if layer.kind != Kind.CONV)
    for _ in range(2):
        lean.load(program)
        with pytest.raises(RuntimeError, match=rf"^the accelerator stopped at layer {first}: UNIT"):
            lean.run(x)
        last = program.layers[first - 1].operator.outputs[0]
        np.testing.assert_array_equal(lean.tensor(last), want[last])
    slow = lean.layer_cycles(first)
    summing = patched(program.descriptors, first - 1, "sum", 1)
    for layer, raw in ((first, patched(program.descriptors, first, "kind", Kind.TABLE)),
                       (first - 1, summing)):
        lean.write(Window.PROGRAM, raw[:, None])
        assert lean.attempt() == Error.UNIT
        assert lean.read(Register.STATUS) >> 16 == layer
    words = descriptor_words(PARAMS)
    assert all(words <= a - b <= words + 4 for a, b in zip(slow[1:], quick[1:first], strict=True))


def test_any_program_ends():
    """Bits flipped at random in a good program: it ends, and the next good run is exact."""
    rng = np.random.default_rng(3)
    simulated, program = ready()
    words, seen = descriptor_words(PARAMS), {}
    size = descriptor_of(PARAMS).size
    for trial in range(300):
        raw = program.descriptors.copy()
        for _ in range(rng.integers(1, 4)):
            layer, bit = rng.integers(len(program.layers)), rng.integers(size)
            raw[layer * words + bit // 32] ^= np.uint32(1 << bit % 32)
        simulated.write(Window.PROGRAM, raw[:, None])
        before = simulated.sim.cycle
        error = simulated.attempt()
        assert simulated.sim.cycle - before < len(program.layers) * (PARAMS.layer_timeout + 1000)
        seen[error] = seen.get(error, 0) + 1
        if trial % 10 == 9:
            simulated.write(Window.PROGRAM, program.descriptors[:, None])
            check(simulated)
    assert {Error.NONE, Error.KIND, Error.FETCH, Error.STORE, Error.WEIGHTS, Error.PARAMS,
            Error.STALL} <= set(seen), seen


@pytest.mark.parametrize("params", [
    PARAMS, replace(PARAMS, rounding="both", requantize=1, pooling=False),
    AcceleratorParams(array=ArrayParams(rows=12, cols=16), rounding="float32", addition=False),
    replace(PARAMS, fused=False)])
def test_parameters_can_be_read_back(params):
    values, flags = params.registers()
    assert params_of(lambda offset: {0: 0x53595354, 2: flags, **dict(enumerate(
        values.values(), 16))}[offset]) == params


def test_device_tells_its_parameters():
    simulated = accelerator()
    assert params_of(simulated.read) == PARAMS
    with pytest.raises(ValueError, match=r"^the device is not an accelerator: its register ID must "
                                         r"be 0x53595354, not 0x00000000$"):
        params_of(lambda offset: 0)
    with pytest.raises(ValueError, match=r"^the device describes a build that cannot be: "):
        params_of(lambda offset: 0x53595354 if offset == 0 else 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_up_to_date(page):
    assert page.read_text() == PAGES[page](), "run: python -m systolith.cli.generate_docs"
