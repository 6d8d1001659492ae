"""The last number that the arithmetic can hold, and the first that it cannot."""

import numpy as np
import pytest

from systolith.graph import limits
from systolith.graph.ir import Tensor

X = Tensor(name="x", shape=(1, 1, 1, 2), scales=(1.0,), zero_point=-1)  # of -127 to 128
WEIGHTS = Tensor(name="w", shape=(2, 1, 1, 2), scales=(1.0,),
                 data=np.array([[1, 0], [-2, 3]], np.int8).reshape(2, 1, 1, 2))


@pytest.mark.parametrize("factor, fits", [
    (0, True), (np.nextafter(8, 0, dtype=np.float32), True), (8, False), (-1e-9, False),
    (float("inf"), False)])
def test_factors(factor, fits):
    assert (limits.of_factor("it", factor) == "") is fits


@pytest.mark.parametrize("cells, zero_point, fits", [
    ((1 << 31) // 255, -128, True), ((1 << 31) // 255 + 1, -128, False),
    ((1 << 24) - 1, 0, True), (1 << 24, 0, False)])
def test_sums(cells, zero_point, fits):
    assert (limits.of_sums(cells, zero_point) == "") is fits


@pytest.mark.parametrize("bias, told", [
    ((1 << 31) - 1 - 5 * 128, ""),
    ((1 << 31) - 5 * 128, "the sums of channel 1 can exceed 32 bits"),
    (-(1 << 31) + 5 * 128, "the sums of channel 1 can exceed 32 bits")])
def test_sums_of_a_layer(bias, told):
    biases = Tensor(name="b", shape=(2,), dtype="int32", data=np.array([0, bias], np.int32))
    assert limits.of_layer(X, WEIGHTS, 0, biases, lambda: [1.0, 1.0]) == told
