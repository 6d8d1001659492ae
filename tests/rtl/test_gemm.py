# amaranth: UnusedElaboratable=no
"""Matrix products of any size through the compiled core."""

import functools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.gemm import Gemm
from rtl.params import ArrayParams
from sim.golden.array import matmul
from sim.golden.requantize import requantize
from systolith.runtime.simulated_cores import SimulatedGemm

BUILDS = {
    "3x4": dict(array=ArrayParams(rows=3, cols=4), depth=10, drain_lanes=2, requantize=0),
    "1x1": dict(array=ArrayParams(rows=1, cols=1), depth=4, requantize=0, output_register=True),
    "5x3 to int8": dict(array=ArrayParams(rows=5, cols=3), depth=16, drain_lanes=3,
                        output_register=True),
    "4x4 to int8": dict(array=ArrayParams(rows=4, cols=4), depth=12, requantize=3),
    "2 of 3x2": dict(array=ArrayParams(rows=3, cols=2), pixel_lanes=2, depth=9, requantize=2),
    "8x8": dict(array=ArrayParams(rows=8, cols=8), depth=512, requantize=0),
}
INT32 = ["3x4", "1x1"]
INT8 = ["5x3 to int8", "4x4 to int8", "2 of 3x2"]


@functools.cache
def compiled(build):
    return SimulatedGemm(Gemm(**BUILDS[build]))


def int8(rng, *shape):
    x = rng.integers(-128, 128, shape)
    x[rng.random(shape) < 0.1] = -128
    return x.astype(np.int8)


def check(build, m, k, n, seed, *, band=None, stalls=(0, 1.0)):
    rng = np.random.default_rng(seed)
    a, b = int8(rng, m, k), int8(rng, k, n)
    if not BUILDS[build].get("requantize", 1):
        product, report = compiled(build).run(a, b, band=band, stalls=stalls)
        np.testing.assert_array_equal(product, matmul(a, b))
        assert product.dtype == np.int32
        return report
    spread = 5000 * np.sqrt(k) + 1  # of the sums, about
    params = {"bias": rng.integers(-spread, spread, n),
              "multiplier": rng.integers(1 << 30, 1 << 31, n),
              "shift": int(np.log2(spread / 60)) + rng.integers(0, 3, n)}
    low, high = sorted(rng.integers(-128, 128, 2).tolist())
    output = {"zero_point": int(rng.integers(-128, 128)), "low": low, "high": high}
    product, report = compiled(build).run(a, b, params=params, output=output, band=band,
                                          stalls=stalls)
    np.testing.assert_array_equal(product, requantize(matmul(a, b), **params, **output))
    assert product.dtype == np.int8
    return report


@pytest.mark.parametrize("go", [1.0, 0.6, 0.3])
@pytest.mark.parametrize("m, k, n", [
    (1, 1, 1), (1, 17, 1), (17, 1, 1), (1, 1, 17), (2, 3, 4), (12, 12, 12), (13, 10, 9),
    (40, 5, 3), (2, 30, 20), (25, 16, 8),
])
@pytest.mark.parametrize("build", [*INT32, *INT8])
def test_sizes(build, m, k, n, go):
    check(build, m, k, n, seed=[m, k, n], stalls=(m, go))


@pytest.mark.parametrize("build", [*INT32, *INT8])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(size=st.tuples(*[st.integers(1, 26)] * 3), band=st.none() | st.integers(1, 16),
       seed=st.integers(0, 999), go=st.sampled_from([0.3, 0.7, 1.0]))
def test_any_size(build, size, band, seed, go):
    band = band and min(band, BUILDS[build]["depth"])
    report = check(build, *size, seed=seed, band=band, stalls=(seed, go))
    assert band in (None, report.band)


@pytest.mark.parametrize("x, y", [(-128, -128), (-128, 127), (127, 127)])
def test_extremes(x, y):
    """The longest reduction whose sum fits 32 bits, of the largest products."""
    k = (1 << 31) // 128 ** 2 - 1
    a, b = np.full((2, k), x, np.int8), np.full((k, 3), y, np.int8)
    product, _ = compiled("3x4").run(a, b)
    assert (product == x * y * k).all()


def test_sums_wrap():
    k = (1 << 31) // 128 ** 2
    product, _ = compiled("3x4").run(np.full((1, k), -128, np.int8), np.full((k, 1), -128, np.int8))
    assert product.tolist() == [[-1 << 31]]


def test_cycles():
    report = check("8x8", 256, 256, 256, seed=0)
    assert report.cycles == 262_249
    assert report.macs == 256 ** 3 and report.utilisation > 0.99


@pytest.mark.parametrize("build", ["3x4", "4x4 to int8"])
def test_one_vector_a_cycle(build):
    """A pass takes a cycle for each vector of each row tile, and the drain shows."""
    gemm = compiled(build).core
    band, tiles = gemm.depth, 9
    report = check(build, band, tiles * gemm.array.rows, gemm.array.cols, seed=0, band=band)
    drain = gemm.array.cols // gemm.drain_lanes * \
        (band * max(gemm.requantize, 1) + (gemm.requantize > 1))
    latency = gemm.drain_latency + (gemm.requantizer.latency if gemm.requantize else 0)
    assert 0 < report.cycles - tiles * band - drain <= latency


MATRIX = np.zeros((4, 5), np.int8)


@pytest.mark.parametrize("build, given", [
    ("3x4", {"params": {}}), ("3x4", {"params": {}, "output": {}}), ("4x4 to int8", {}),
    ("4x4 to int8", {"output": {}}),
])
def test_wants_the_constants_of_the_requantizer(build, given):
    with pytest.raises(TypeError, match=r"^params and output must be given if the core requantises,"
                                        r" and only then$"):
        compiled(build).run(MATRIX, MATRIX.T, **given)


@pytest.mark.parametrize("changes, error, message", [
    ({"array": (8, 8)}, TypeError, "array must be ArrayParams, not (8, 8)"),
    ({"depth": 1}, ValueError, "depth must be between 2 and 4096, not 1"),
    ({"drain_lanes": 3}, ValueError, "drain_lanes must divide the 4 columns, not be 3"),
    ({"drain_lanes": 5}, ValueError, "drain_lanes must be between 1 and 4, not 5"),
    ({"depth": 64.0}, TypeError, "depth must be an integer, not 64.0"),
    ({"requantize": 5}, ValueError, "requantize must be one of 0, 1, 2, 3, 4, 6, not 5"),
])
def test_refuses(changes, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Gemm(**({"array": ArrayParams(rows=3, cols=4)} | changes))
