# amaranth: UnusedElaboratable=no
"""Fully connected layers of more filters, or more inputs, than one descriptor can say."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.compiler import compile_graph
from systolith.compiler.fitting import fit, small_build
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import make_operator
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import Chain, int8


def connected(inputs, filters, image=None):
    """A fully connected layer and, if given, its results as an ``image``."""
    chain = Chain(np.random.default_rng(filters))
    chain.tensors = []
    chain.last = chain.tensor((1, inputs), 0.05)
    chain.weighted("FULLY_CONNECTED", (filters, inputs), 0, (1, filters))
    graph = chain.graph()
    if image is None:
        return graph
    y, count = graph.tensors[graph.outputs[0]], len(graph.tensors)
    shaped = replace(y, name="image", shape=(1, *image))
    steps = [make_operator("RESHAPE", graph.outputs, [count], {}, 1),
             make_operator("RELU6", [count], [count + 1], {}, 2)]
    return replace(graph, outputs=(count + 1,), operators=(*graph.operators, *steps),
                   tensors=(*graph.tensors, shaped, replace(shaped, name="clamped")))


@pytest.mark.parametrize("inputs, filters, image, layers", [
    (16, 5000, None, 2), (12, 8193, None, 3), (10, 6272, (7, 7, 128), 3),
    (12, 4200, (5, 3, 280), 3), (40000, 3, None, 1), (62720, 14, None, 1)])
def test_wide_layers(inputs, filters, image, layers):
    graph = connected(inputs, filters, image)
    params = fit(graph, small_build(8, 8))
    simulated, program = SimulatedAccelerator(params), compile_graph(graph, params)
    assert len(program.layers) == layers
    assert program.macs == inputs * filters
    simulated.load(program)
    x = int8(np.random.default_rng(1), (1, inputs))
    result, = graph.outputs
    got = simulated.run(x).values[result]
    assert len(set(got.ravel().tolist())) > 2
    np.testing.assert_array_equal(got, run_graph(graph, x)[result])
