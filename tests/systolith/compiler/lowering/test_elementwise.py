# amaranth: UnusedElaboratable=no
"""Elementwise operators on tensors that are larger than the fields of a descriptor."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.compiler.layout.region import Region
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import graph_of, int8, tensor


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(8, 8, activation_bytes=1 << 17))


@pytest.mark.parametrize("kind, shape, layers", [
    ("RELU6", (1, 10000), 1), ("RELU6", (1, 5000, 2, 1), 2), ("LEAKY_RELU", (1, 8193), 1),
    ("LEAKY_RELU", (1, 1, 9001, 3), 2), ("ADD", (1, 33000), 2), ("RELU6", (1, 4095), 1)])
def test_more_than_a_descriptor_can_say(kind, shape, layers):
    rng, simulated = np.random.default_rng(shape[-1]), accelerator()
    x = tensor(rng, "x", shape)
    operands = [x, replace(x, name="x2")] if kind == "ADD" else [x]
    attributes = {"alpha": 0.1} if kind == "LEAKY_RELU" else {}
    graph = graph_of(kind, [*operands, replace(x, name="y")], attributes)
    program = compile_graph(graph, simulated.params)
    assert len(program.layers) == layers
    simulated.load(program)
    inputs = [int8(rng, shape) for _ in operands]
    result, = graph.outputs
    np.testing.assert_array_equal(simulated.run(*inputs).values[result],
                                  run_graph(graph, *inputs)[result])


@pytest.mark.parametrize("height, width, channels", [
    (1, 1, 100), (3, 70, 9), (1, 1, 57), (64, 1, 8)])
def test_pieces_have_all_words_in_their_order(height, width, channels):
    image = Region(height=height, width=width, channels=channels, word_bytes=8, base=5)
    words = [each.base + y * each.line_step + x * each.pixel_step + word
             for each in image.pieces(7) for y in range(each.height) for x in range(each.width)
             for word in range(each.pixel_words)]
    assert words == [*range(5, 5 + height * width * image.pixel_words)]
    assert all(max(each.height, each.width, each.channels) <= 8 for each in image.pieces(7)[1:])


def test_no_pieces_where_there_are_gaps():
    image = Region(height=9, width=9, channels=9, word_bytes=8)
    for region in (image.part(0, 0, 9, 8), image.slice(1, 8), image.part(0, 0, 5, 9, (2, 1))):
        assert region.pieces(8) == [region]
