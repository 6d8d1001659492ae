"""Sums and means of the float32 rounding: when the hardware can give them, and that it is right."""

import numpy as np
import pytest

from sim.golden import float32
from sim.golden.requantize import requantize_float32
from systolith.compiler.lowering.float32_tables import BYTES, average, total
from systolith.graph.ir import Graph, Tensor, make_operator


def graph_of(kind, *ends, unsigned=False, **attributes):
    """An operator between tensors of ``(scale, zero point)``, the last of which is the result."""
    tensors = tuple(Tensor(name="", shape=(1, 1, 1, 1), scales=(float(np.float32(scale)),),
                           zero_point=int(zero), unsigned=unsigned) for scale, zero in ends)
    operator = make_operator(kind=kind, inputs=tuple(range(len(ends) - 1)),
                             outputs=(len(ends) - 1,), attributes=attributes)
    return Graph(tensors=tensors, operators=(operator,), inputs=(0,), outputs=(len(ends) - 1,),
                 rounding="float32"), operator


def quantisations(rng, count):
    """Of ADDs: any scales, or powers of two, with which every other sum is a tie."""
    for number in range(count):
        scales = (2.0 ** -rng.integers(1, 6, 3) if number % 2
                  else np.exp(rng.uniform(-6, 0)) * np.exp(rng.uniform(-1, 1, 3)))
        yield list(zip(scales, rng.integers(-128, 128, 3), strict=True))


@pytest.mark.parametrize("unsigned", [False, True])
def test_every_sum_is_exact(unsigned):
    turned = 0
    for ends in quantisations(np.random.default_rng(unsigned), 60):
        graph, operator = graph_of("ADD", *ends, unsigned=unsigned)
        first, second, table, factor, zero_point = total(graph, operator)
        turned += first
        numbers = {first: BYTES[None, :], second: BYTES[:, None]}
        a, b, y = graph.tensors
        want = float32.add(numbers[0], numbers[1], scales=(a.scale, b.scale), scale=y.scale,
                           zero_points=(a.zero_point, b.zero_point), zero_point=y.zero_point,
                           offset=128 * unsigned)
        acc = (numbers[first].astype(np.int64) << 19) + table[:, None]
        assert np.abs(acc).max() < 1 << 31
        np.testing.assert_array_equal(requantize_float32(acc, 0, factor, zero_point), want)
    assert 10 < turned < 50


def test_sums_out_of_reach_are_left_to_the_host():
    graph, operator = graph_of("ADD", (1e-6, 0), (1e-6, 0), (1.0, 101))
    assert total(graph, operator) is None


def window(scale, zero_point, y, count_padding=False):
    return graph_of("AVERAGE_POOL_2D", (scale, zero_point), y, kernel=(2, 3), stride=(1, 1),
                    padding=((0, 0), (0, 0)), count_padding=count_padding)


@pytest.mark.parametrize("zero_point", [-128, 4, 5])
@pytest.mark.parametrize("cells, scale, result, possible", [
    (6, 0.25, 0.25, True), (4, 0.25, 0.125, True), (6, 3 * 2.0 ** -8, 2.0 ** -6, True),
    (6, 0.1, 0.1, False), (6, 0.3, 0.2, False),
    (6, 0.1, 0.0371, False)])
def test_means_are_exact_or_left_to_the_host(cells, scale, result, possible, zero_point):
    graph, operator = window(scale, 7, (result, zero_point))
    found = average(graph, operator, cells)
    assert (found is not None) == possible or zero_point % 2
    if found:
        bias, factor, zero = found
        x = np.random.default_rng(1).integers(-128, 128, (5000, 1, cells, 1)).astype(np.int8)
        want = float32.average_pool(
            x, kernel=(1, cells), stride=(1, 1), padding=((0, 0), (0, 0)), count_padding=False,
            input_scale=scale, input_zero_point=7, scale=result, zero_point=zero_point)
        got = requantize_float32(x.astype(int).sum(axis=2, keepdims=True), bias, factor, zero)
        np.testing.assert_array_equal(got, want)
