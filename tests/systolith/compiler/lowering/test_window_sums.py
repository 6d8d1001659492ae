# amaranth: UnusedElaboratable=no
"""Means of windows: their rounding, and on a build without a unit for them."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from rtl.accelerator.control.descriptor import Kind
from sim.golden.requantize import requantize
from systolith.compiler import compile_graph, needs_of
from systolith.compiler.fitting import fit, shortages, small_build
from systolith.compiler.lowering.pooling import MOST_CELLS, mean_scale
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import MAKERS, Chain, int8


def test_means_round_ties_away_from_zero():
    """Of every number of cells, the sums about every tie, and the extremes."""
    halves = np.arange(-256, 256)  # ties are at the odd ones
    for cells in range(1, MOST_CELLS + 1):
        total = np.clip((halves[:, None] * cells // 2 + np.arange(-1, 3)).ravel(),
                        -128 * cells, 127 * cells)
        want = np.sign(total) * ((2 * np.abs(total) + cells) // (2 * cells))
        np.testing.assert_array_equal(requantize(total, 0, *mean_scale(cells), 0), want)


@functools.cache
def accelerator():
    return SimulatedAccelerator(replace(small_build(4, 4), pooling=False, buffer_bytes=512))


class Windows(Chain):
    """Windows over an image of a given shape."""

    def __init__(self, *shape):
        super().__init__(np.random.default_rng(sum(shape)))
        self.tensors = []
        self.last = self.tensor((1, *shape), 0.05)


def windows(shape, kernel, same=False, kind="AVERAGE_POOL_2D"):
    chain = Windows(*shape)
    chain.pool(kind, kernel=kernel, same=same)
    return chain.graph()


def means(*shape):
    chain = Windows(*shape)
    chain.mean()
    return chain.graph()


@pytest.mark.parametrize("graph, layers, batch", [
    (windows((6, 7, 5), (3, 2)), 1, 1),
    (windows((6, 7, 1), (6, 7)), 2, 2),
    (windows((4, 5, 6), (3, 3), same=True), 9, 1),   # a border cuts windows on all sides
    (windows((25, 5, 12), (25, 5)), 3, 1),           # a line buffer holds four channels
    (windows((2, 32, 4), (2, 32)), 1, 1),
    (means(4, 6, 7), 1, 3),
    (means(7, 9, 10), 2, 1),
    (means(49, 1, 6), 1, 3),                         # no kernel is as long: 7x7 pixels in its place
    (means(2, 40, 3), 1, 1),
])
def test_without_a_unit(graph, layers, batch):
    simulated, (x, *_) = accelerator(), graph.tensors
    program = compile_graph(graph, simulated.params, batch=batch)
    assert [layer.kind for layer in program.layers] == [Kind.CONV] * layers
    simulated.load(program)
    rng = np.random.default_rng(1)
    for images in (int8(rng, (batch, *x.shape[1:])), np.full((batch, *x.shape[1:]), -128)):
        images = images.astype(np.int8)
        np.testing.assert_array_equal(simulated.run(images).values[graph.outputs[0]],
                                      run_graph(graph, images)[graph.outputs[0]])


@pytest.mark.parametrize("kind", ["concatenation", "pad", "relu6", "resize"])
def test_copies_without_a_unit(kind):
    """What moves bytes is a convolution of one tap there."""
    simulated, rng, ran = accelerator(), np.random.default_rng(len(kind)), 0
    for _ in range(12):
        graph = MAKERS[kind](rng)
        program = compile_graph(graph, simulated.params)
        assert {layer.kind for layer in program.layers} <= {Kind.CONV}
        simulated.load(program)
        inputs = [int8(rng, graph.tensors[index].shape) for index in graph.inputs]
        result, = graph.outputs
        np.testing.assert_array_equal(simulated.run(*inputs).values[result],
                                      run_graph(graph, *inputs)[result])
        ran += len(program.layers) > 0
    assert ran >= 6


@pytest.mark.parametrize("shape", [(53, 1, 3), (37, 2, 3)])
def test_means_of_no_kernel_need_a_unit(shape):
    assert [each.name for each in shortages(means(*shape), accelerator().params)] == ["pooling"]


def test_sums_that_accumulators_cannot_hold():
    """Weights of a filter at their limits: the bits are counted exactly, and named if short."""
    def need(taps, weight):
        chain = Windows(1, 1, taps)
        chain.weighted("CONV_2D", (1, 1, 1, taps), 0, (1, 1, 1, 1), stride=(1, 1), dilation=(1, 1),
                       padding=((0, 0), (0, 0)))
        graph = chain.graph()
        weights = np.full((1, 1, 1, taps), weight, np.int8)
        tensors = tuple(replace(each, data=weights) if index == graph.operators[0].inputs[1]
                        else each for index, each in enumerate(graph.tensors))
        return replace(graph, tensors=tensors)

    build = small_build(4, 4, sum_bits=18)
    for taps, weight, bits in ((8, 127, 18), (8, -128, 19), (9, 127, 19), (1, -128, 16)):
        graph = need(taps, weight)
        assert needs_of(graph, build)["sum_bits"] == bits
        assert [(each.name, each.need) for each in shortages(graph, build)] == (
            [("sum_bits", bits)] if bits > 18 else [])
    with pytest.raises(ValueError, match=r"^the network does not fit; sum bits: 19 are needed, "
                                         r"1 more than the 18 of this build$"):
        compile_graph(need(9, 127), build)
    assert fit(need(9, 127), build).sum_bits == 19


def test_weights_of_ones_take_little_memory():
    assert compile_graph(windows((8, 8, 8), (8, 8)), accelerator().params).weights.size <= 48


@pytest.mark.parametrize("graph", [
    windows((6, 7, 5), (3, 2), kind="MAX_POOL_2D"),
    windows((40, 3, 4), (33, 1)),                    # more than a kernel can have
])
def test_what_needs_the_unit_says_so(graph):
    short, = shortages(graph, accelerator().params)
    assert (short.name, short.need, short.have) == ("pooling", True, False)
    with pytest.raises(ValueError, match=r"^the network needs what this build does not have: "
                                         r"POOLING$"):
        compile_graph(graph, accelerator().params)
