"""Movements of numbers on the accelerator's RTL, alone and between other operators."""

import numpy as np
import pytest

from systolith.compiler import needs_of
from systolith.zoo.random import MOVEMENTS, moving
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
