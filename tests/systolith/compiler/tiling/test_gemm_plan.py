# amaranth: UnusedElaboratable=no
"""Plans of matrix products, without a simulation: tests/rtl/test_gemm.py runs them."""

import re

import numpy as np
import pytest

from rtl.gemm import Gemm
from rtl.params import ArrayParams
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.gemm_plan import GemmPlan

MACHINE = Machine.of_core(Gemm(ArrayParams(rows=3, cols=4), depth=10, drain_lanes=2, requantize=0))
MATRIX = np.zeros((4, 5), np.int8)


@pytest.mark.parametrize("a, b, band, error, message", [
    (MATRIX, MATRIX, None, ValueError,
     "matrices must be (M, K) and (K, N), not (4, 5) and (4, 5)"),
    (MATRIX[0], MATRIX.T, None, ValueError,
     "matrices must be (M, K) and (K, N), not (5,) and (5, 4)"),
    (MATRIX.astype(int), MATRIX.T, None, TypeError, "A must be of int8, not int64"),
    (MATRIX, MATRIX.T.astype(np.uint8), None, TypeError, "B must be of int8, not uint8"),
    (MATRIX[:0], MATRIX.T, None, ValueError, "A must not be empty, but its shape is (0, 5)"),
    (MATRIX, MATRIX.T[:, :0], None, ValueError, "B must not be empty, but its shape is (5, 0)"),
    (MATRIX, MATRIX.T, 11, ValueError, "band must be between 1 and 10, not 11"),
    (MATRIX, MATRIX.T, 0, ValueError, "band must be between 1 and 10, not 0"),
    (MATRIX, MATRIX.T, 2.0, TypeError, "band must be an integer, not 2.0"),
])
def test_refuses(a, b, band, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        GemmPlan(MACHINE, a, b, band)


def test_beats_come_back_as_the_product():
    """Each number once, with what fills up tiles and bands left out."""
    plan = GemmPlan(MACHINE, np.zeros((23, 7), np.int8), np.zeros((7, 9), np.int8), band=10)
    assert plan.bands == [(0, 10), (10, 20), (20, 23)]
    assert plan.beats == 23 * 3 * 2  # rows, column tiles, channel groups
    beats = np.arange(plan.beats * 2).reshape(-1, 2)
    product = plan.gather(beats)
    assert product.shape == (23, 9) and len(np.unique(product)) == product.size
    # Column 5 is the second one of the first group of the second tile, which drains by rows.
    np.testing.assert_array_equal(product[:10, 5], beats[2 * 10:3 * 10, 1])
