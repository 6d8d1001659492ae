"""The systolic array: matrix products of tiles, and the depthwise FIR."""

import numpy as np

__all__ = ["fir_tile", "matmul", "tile"]


def matmul(a, b):
    """``a @ b`` of int8 matrices (M, K) and (K, N) as int64, which nothing here can overflow."""
    return np.asarray(a, np.int64) @ np.asarray(b, np.int64)


def tile(vectors, weights):
    """Sums (n, cols) of ``vectors`` (n, rows) and one tile of ``weights`` (rows, cols)."""
    return matmul(vectors, weights)


def fir_tile(vectors, weights):
    """Sums (n - taps + 1, cols): column ``c`` of ``vectors`` (n, cols) filtered by column ``c`` of
    ``weights`` (taps, cols), as a correlation."""
    vectors, weights = np.asarray(vectors, np.int64), np.asarray(weights, np.int64)
    taps, count = len(weights), len(vectors) - len(weights) + 1
    return sum(vectors[tap:tap + count] * weights[tap] for tap in range(taps))
