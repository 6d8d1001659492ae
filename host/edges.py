"""The numbers of a file and those of its graph.

The file may have uint8, of which 128 are subtracted, and its pictures may have their channels
before lines and pixels. ``Tensor.layout`` and ``Tensor.unsigned`` of inputs and outputs say so.
"""

import numpy as np

__all__ = ["axes_of_file", "from_graph", "to_graph"]


def to_graph(tensor, x):
    """Numbers ``x`` of the file, (n, ...), as the graph takes them for its input ``tensor``."""
    x = np.asarray(x)
    expected = np.dtype(np.uint8 if tensor.unsigned else np.int8)
    if x.dtype != expected:
        raise TypeError(f"input {tensor.name} must be {expected}, not {x.dtype}")
    if tensor.unsigned:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    if tensor.layout in {"NCHW", "NCW"}:
        x = np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(x.reshape(len(x), *tensor.shape[1:]))


def from_graph(tensor, y):
    """Numbers ``y`` of the graph's output ``tensor`` as the file has them."""
    return axes_of_file(tensor, (y.astype(np.int16) + 128).astype(np.uint8) if tensor.unsigned
                        else y)


def axes_of_file(tensor, y):
    """``y``, of the shape of ``tensor``, with the axes that the file has."""
    if tensor.layout in {"NCW", "NWC"}:
        y = y.reshape(len(y), *tensor.shape[2:])
    return np.moveaxis(y, -1, 1) if tensor.layout in {"NCHW", "NCW"} else y
