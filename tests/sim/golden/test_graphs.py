"""Random networks on the golden models, against TensorFlow Lite Micro: every layer, every byte."""

import numpy as np
import pytest

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.references.tflm import Reference
from systolith.zoo.random import network

#: Networks of each of the seeds that the tests go through.
NETWORKS, SEEDS = 50, 8


@pytest.mark.parametrize("seed", [*range(SEEDS), *(
    pytest.param(seed, marks=pytest.mark.heavy) for seed in range(SEEDS, 5 * SEEDS))])
def test_every_layer_equals_reference(seed):
    told = layers = 0
    for number in range(NETWORKS):
        rng = np.random.default_rng([seed, number])
        data = write_tflite(network(rng))
        graph, reference = read_tflite(data), Reference(data)
        images = rng.integers(-128, 128, (2, *graph.tensors[0].shape[1:])).astype(np.int8)
        got = run_graph(graph, images)
        for image in range(2):
            want = reference.layers(images[image:image + 1])
            for operator in graph.operators:
                index, = operator.outputs
                np.testing.assert_array_equal(got[index][image], want[index][0],
                                              f"seed {seed}, network {number}, {operator}")
                layers += 1
                told += np.ptp(want[index].astype(int)) > 10
    assert told > layers / 2  # have results that tell something
