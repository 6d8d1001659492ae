"""Whole networks on the accelerator's RTL, against the golden models."""

import functools
from pathlib import Path

import numpy as np
import pytest

from host.accelerated import SimulatedAccelerator
from host.compiler import compile_graph
from host.digits import held_out, model_bytes
from host.fitting import small_build
from host.golden_run import run_graph
from host.tflite import read_tflite
from rtl.accelerator import descriptor_words

MODELS = Path(__file__).parent.joinpath("..", "..", "shared", "models")


@functools.cache
def accelerator(rows, cols):
    return SimulatedAccelerator(small_build(rows, cols))


def check(simulated, graph, x):
    program = compile_graph(graph, simulated.params)
    simulated.load(program)
    run = simulated.run(x)
    want = run_graph(graph, x)
    for index, value in run.values.items():
        np.testing.assert_array_equal(value, want[index])
    assert set(graph.outputs) <= set(run.values)
    return program, run


@pytest.mark.parametrize("rows, cols", [(8, 8), (4, 4), (5, 3)])
def test_digits(rows, cols):
    graph = read_tflite(model_bytes())
    for x in held_out().pictures[:3]:
        program, run = check(accelerator(rows, cols), graph, x[None])
        assert run.cycles >= program.macs / (rows * cols)
        # All but the last descriptor, which ends the program, belong to a layer.
        assert 0 < run.cycles - sum(run.layer_cycles) < 2 * descriptor_words(
            accelerator(rows, cols).params)


@pytest.mark.parametrize("name, most", [("resnet8_cifar10", 210_000), ("kws_dscnn", 60_000)])
def test_shared_models(name, most):
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    graph = read_tflite(path)
    stored = np.load(MODELS / f"{name}.npz")
    x = stored[stored.files[0]][:1]
    _, run = check(accelerator(8, 8), graph, x.astype(np.int8))
    assert run.cycles <= most
