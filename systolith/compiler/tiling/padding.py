"""Arrays that fill up tiles and words."""

import numpy as np

__all__ = ["pad_to_multiple"]


def pad_to_multiple(array: np.ndarray, axis: int, multiple: int) -> np.ndarray:
    """``array`` with zeros after it, up to a multiple of ``multiple`` along ``axis``."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, widths)
