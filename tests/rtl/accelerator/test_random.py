"""Random operators and networks on the accelerator's RTL, against the golden models."""

import functools

import numpy as np
import pytest

from systolith.compiler import compile_graph, needs_of
from systolith.compiler.fitting import small_build
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import MAKERS, autoencoder, int8, network, with_zeros

BUILDS = [(8, 8), (4, 4), (5, 3), (4, 4, 2), (5, 3, 3)]


@functools.cache
def accelerator(rows, cols, pixel_lanes=1):
    return SimulatedAccelerator(small_build(rows, cols, pixel_lanes=pixel_lanes))


def check(simulated, graph, rng, keep=False, batch=1):
    needs = needs_of(graph, simulated.params, keep, batch)
    if any(needs[name] > getattr(simulated.params, name)
           for name in ("activation_bytes", "program_words")):
        batch = 1
    program = compile_graph(graph, simulated.params, keep, batch)
    simulated.load(program)
    inputs = [int8(rng, (batch, *graph.tensors[index].shape[1:])) for index in graph.inputs]
    run, want = simulated.run(*inputs), run_graph(graph, *inputs)
    assert set(graph.outputs) <= set(run.values)
    for index, value in run.values.items():
        np.testing.assert_array_equal(value, want[index], graph.tensors[index].name)
    return program, run


def operators(kind, build, seeds):
    for seed in seeds:
        rng = np.random.default_rng([seed, *kind.encode()])
        graph = MAKERS[kind](rng)
        try:
            program, _ = check(accelerator(*build), graph, rng, batch=1 + seed % 2)
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}, {build}: {graph.operators}") from error
        assert {step.kind for step in program.rest} <= {"SOFTMAX"}


def networks(build, seeds):
    for seed in seeds:
        rng = np.random.default_rng([7, seed])
        graph = network(rng)
        try:
            if seed % 5 < 2:
                graph = with_zeros(graph, rng)
            check(accelerator(*build), graph, rng, keep=seed % 2 == 1, batch=1 + seed % 3)
        except Exception as error:
            raise AssertionError(f"seed {seed}, {build}: {graph.operators}") from error


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", MAKERS)
def test_operators(kind, build):
    operators(kind, build, range(2))


@pytest.mark.parametrize("build", BUILDS)
def test_networks(build):
    networks(build, range(6))


def test_images_share_weights():
    rng = np.random.default_rng(3)
    graph = autoencoder(rng, [160, 128, 128, 8, 128, 128, 160])
    (_, one), (program, eight) = (check(accelerator(8, 8), graph, rng, batch=n) for n in (1, 8))
    assert len(program.layers) == len(graph.operators)
    assert eight.cycles < 1.1 * one.cycles


@pytest.mark.heavy
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", MAKERS)
def test_many_operators(kind, build):
    operators(kind, build, range(2, 42))


@pytest.mark.heavy
@pytest.mark.parametrize("build", BUILDS)
def test_many_networks(build):
    networks(build, range(6, 206))
