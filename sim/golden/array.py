"""The systolic array: matrix products of tiles, and the depthwise FIR."""

import numpy as np
import numpy.typing as npt

from sim.golden.types import Int64

__all__ = ["fir_tile", "matmul", "tile"]


def matmul(a: npt.ArrayLike, b: npt.ArrayLike) -> Int64:
    """``a @ b`` of int8 matrices (M, K) and (K, N) as int64, which nothing here can overflow."""
    return np.asarray(a, np.int64) @ np.asarray(b, np.int64)


def tile(vectors: npt.ArrayLike, weights: npt.ArrayLike) -> Int64:
    """Sums (n, cols) of ``vectors`` (n, rows) and one tile of ``weights`` (rows, cols)."""
    return matmul(vectors, weights)


def fir_tile(vectors: npt.ArrayLike, weights: npt.ArrayLike) -> Int64:
    """Sums (n - taps + 1, cols): column ``c`` of ``vectors`` (n, cols) filtered by column ``c`` of
    ``weights`` (taps, cols), as a correlation."""
    vectors, weights = np.asarray(vectors, np.int64), np.asarray(weights, np.int64)
    taps, count = len(weights), len(vectors) - len(weights) + 1
    return sum((vectors[tap:tap + count] * weights[tap] for tap in range(taps)),
               start=np.zeros((), np.int64))
