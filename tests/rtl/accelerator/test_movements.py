"""Movements of numbers on the accelerator's RTL, alone and between other operators."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.compiler import compile_graph, needs_of
from systolith.compiler.fitting import small_build
from systolith.graph.ir import make_operator
from systolith.zoo.random import MOVEMENTS, Chain, graph_of, moving, tensor
from tests.rtl.accelerator.test_random import accelerator, check


@pytest.mark.parametrize("build", [(4, 4), (5, 3, 3)])
def test_operators(build):
    for kind, make in MOVEMENTS.items():
        if kind == "batch to space":  # its operand is several images
            continue
        for seed in range(6):
            rng = np.random.default_rng([seed, *kind.encode()])
            graph = make(rng)
            try:
                check(accelerator(*build), graph, rng, batch=1 + seed % 2)
            except Exception as error:
                raise AssertionError(f"{kind}, seed {seed}: {graph}") from error


@pytest.mark.parametrize("build", [(8, 8), (4, 4, 2)])
def test_networks(build):
    """Most of what moves is no work, or at least none for the host."""
    host, fitting = [], 0
    for seed in range(20):
        rng = np.random.default_rng([5, seed])
        graph = moving(rng)
        if needs_of(graph, accelerator(*build).params)["program_words"] > 2048:
            continue
        fitting += 1
        try:
            program, _ = check(accelerator(*build), graph, rng, keep=seed % 3 == 1,
                               batch=1 + seed % 2)
        except Exception as error:
            raise AssertionError(f"seed {seed}, {build}: {graph}") from error
        host += [step.kind for step in program.rest if step.kind != "SOFTMAX"]
    assert fitting > 15 and len(host) < 12


def test_long_signals():
    """Of more pixels than a descriptor counts."""
    grown = Chain(np.random.default_rng(1))
    grown.tensors = []
    grown.last = grown.tensor((1, 1, 4500, 1), 0.05)
    grown.logistic()
    first = grown.last
    for slices in ((0, 1, 4400), (4499, -1, 100), (100, 2, 2100)):
        start, grown.last = grown.last, grown.tensor((1, 1, slices[2], 1), 1 / 256, -128)
        grown.operators.append(make_operator(
            "STRIDED_SLICE", [first], [grown.last], {"slices": (None, None, slices, None)},
            len(grown.operators)))
        if start != first:
            size = grown.tensors[start].shape[2] + slices[2]
            grown.append("CONCATENATION", [start, grown.last], (1, 1, size, 1), 1 / 256, -128,
                         axis=2)
    grown.append("TANH", [grown.last], grown.x.shape, 1 / 128, 0)
    program, _ = check(accelerator(4, 4), grown.graph(), np.random.default_rng(2))
    assert not program.rest


def test_without_a_unit_for_windows():
    """What takes one layer with it takes more without, or is the host's."""
    build, rng = replace(small_build(4, 4), pooling=False), np.random.default_rng(3)
    for order, copies in (((0, 2, 3, 1), 12), ((0, 3, 1, 2), None)):
        x = tensor(rng, "x", (1, 3, 12, 4) if copies else (1, 12, 12, 8))
        shape = tuple(x.shape[axis] for axis in order)
        graph = graph_of("TRANSPOSE", [x, tensor(rng, "y", shape, scales=x.scales,
                                                 zero_point=x.zero_point)], {"order": order})
        program = compile_graph(graph, build, partition=True)
        assert (copies or 0) == len(program.layers) and bool(program.rest) is (copies is None)
        assert len(compile_graph(graph, small_build(4, 4)).layers) == 1
        if copies is None:
            with pytest.raises(ValueError, match=r"^operator 0 \(TRANSPOSE\): without pooling it "
                                                 "takes more than 16 copies$"):
                compile_graph(graph, build)
