"""Whole networks on the accelerator's RTL, against the golden models."""

import functools
import math

import numpy as np
import pytest

from boards.builds import up5k_build
from rtl.accelerator import descriptor_words
from rtl.accelerator.registers import OFFSET_BITS, Register, Window
from systolith.compiler import Segment, compile_graph, input_words
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.digits import held_out, model_bytes
from tests.support.paths import MODELS


@functools.cache
def accelerator(rows, cols, pixel_lanes=1):
    return SimulatedAccelerator(small_build(rows, cols, pixel_lanes=pixel_lanes))


def check(simulated, graph, x):
    program = compile_graph(graph, simulated.params)
    simulated.load(program)
    run = simulated.run(x)
    want = run_graph(graph, x)
    for index, value in run.values.items():
        np.testing.assert_array_equal(value, want[index])
    assert set(graph.outputs) <= set(run.values)
    return program, run


@pytest.mark.parametrize("build", [(8, 8), (4, 4), (5, 3), (4, 4, 2), (5, 3, 3)])
def test_digits(build):
    graph = read_tflite(model_bytes())
    for x in held_out().images[:3]:
        program, run = check(accelerator(*build), graph, x[None])
        assert run.cycles >= program.macs / math.prod(build)
        # All but the last descriptor, which ends the program, belong to a layer.
        assert 0 < run.cycles - sum(run.layer_cycles) < 2 * descriptor_words(
            accelerator(*build).params)


#: Cycles at the most, by network and build.
MOST = {("resnet8_cifar10", (8, 8)): 200_000, ("kws_dscnn", (8, 8)): 60_000,
        ("resnet8_cifar10", (4, 4)): 860_000, ("kws_dscnn", (4, 4)): 260_000,
        ("resnet8_cifar10", (12, 16, 2)): 39_000, ("kws_dscnn", (12, 16, 2)): 18_500}


ALL = {"resnet8_cifar10": 100, "kws_dscnn": 200}


def shared_model(name, simulated, count=None):
    """Run a shared model on ``count`` of its inputs, whose outputs TensorFlow Lite Micro gave."""
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    graph, stored = read_tflite(path), np.load(MODELS / f"{name}.npz")
    simulated.load(compile_graph(graph, simulated.params))
    inputs, outputs = stored["inputs"][:count], stored["outputs"][:count]
    assert len(inputs) == len(outputs) == (count or ALL[name])
    cycles = set()
    for x, y in zip(inputs, outputs, strict=True):
        run = simulated.run(x[None])
        np.testing.assert_array_equal(run.values[graph.outputs[0]], y[None])
        cycles.add(run.cycles)
    assert len(cycles) == 1  # whatever the numbers are
    return cycles.pop()


@pytest.mark.parametrize("name, build", MOST)
def test_shared_models(name, build):
    assert shared_model(name, accelerator(*build), 3) <= MOST[name, build]


@pytest.mark.heavy
@pytest.mark.parametrize("name, build", MOST)
def test_shared_models_on_all_inputs(name, build):
    shared_model(name, accelerator(*build))


def test_one_memory_for_everything():
    """As on an UltraPlus: 128 KiB with one port hold each of the networks."""
    single_memory = SimulatedAccelerator(up5k_build())
    check(single_memory, read_tflite(model_bytes()), held_out().images[:1])
    for name in ("resnet8_cifar10", "kws_dscnn"):
        path = MODELS / f"{name}_int8.tflite"
        if path.exists():
            stored = np.load(MODELS / f"{name}.npz")
            x = stored[stored.files[0]][:1].astype(np.int8)
            check(single_memory, read_tflite(path), x)


def test_host_reaches_activations_while_a_network_runs():
    """What it writes and reads elsewhere meanwhile costs a cycle each at the most."""
    graph, simulated = read_tflite(model_bytes()), accelerator(8, 8)
    x = held_out().images[:1]
    program, alone = check(simulated, graph, x)
    free = program.needs["activation_bytes"] // program.params.word_bytes
    words = np.arange(8 * 20, dtype=np.uint8).reshape(20, 8)
    segment, = (step for step in program.steps if isinstance(step, Segment))
    tensor, = graph.inputs
    simulated.write(Window.ACTIVATIONS, input_words(program, tensor, x),
                    program.regions[tensor].base)
    simulated.command(Register.GO, segment.start)
    simulated.write(Window.ACTIVATIONS, words, free)
    assert simulated.read(Register.STATUS) & 1
    chunks = np.arange(40) + (Window.ACTIVATIONS << OFFSET_BITS) + 2 * free
    got = simulated.post_read(chunks)()
    assert simulated.read(Register.STATUS) & 1
    got = np.asarray(got).astype("<u4").view(np.uint8)
    np.testing.assert_array_equal(got.reshape(20, 8), words)
    simulated.post_wait()
    assert alone.cycles <= simulated.read(Register.CYCLES) <= alone.cycles + 60
    results = set(alone.values) & set(program.regions) - set(graph.inputs)
    assert results
    for index in results:
        np.testing.assert_array_equal(simulated.tensor(index), alone.values[index])
