"""The numbers of a file and those of its graph.

The file may have uint8, of which 128 are subtracted, and its images may have their channels
before lines and pixels. ``Tensor.layout`` and ``Tensor.unsigned`` of inputs and outputs say so.
"""

import numpy as np
import numpy.typing as npt

from systolith.graph.ir import Tensor
from systolith.graph.record import Values

__all__ = ["axes_of_file", "file_dtype", "from_graph", "from_runtime", "to_graph", "to_runtime"]


def to_graph(tensor: Tensor, x: npt.ArrayLike) -> Values:
    """Numbers ``x`` of the file, (n, ...), as the graph takes them for its input ``tensor``."""
    x = np.asarray(x)
    expected = np.dtype(file_dtype(tensor))
    if x.dtype != expected:
        raise TypeError(f"input {tensor.name} must be {expected}, not {x.dtype}")
    if tensor.unsigned:
        x = (x.astype(np.int16) - 128).astype(np.int8)
    if tensor.layout in {"NCHW", "NCW"}:
        x = np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(x.reshape(-1, *tensor.shape[1:]))


def file_dtype(tensor: Tensor) -> str:
    """The type that the file has for ``tensor``."""
    return "uint8" if tensor.unsigned else tensor.dtype


def from_graph(tensor: Tensor, y: Values) -> Values:
    """Numbers ``y`` of the graph's output ``tensor`` as the file has them."""
    return axes_of_file(tensor, (y.astype(np.int16) + 128).astype(np.uint8) if tensor.unsigned
                        else y)


def to_runtime(tensor: Tensor, x: Values, dtype: npt.DTypeLike | None) -> Values:
    """Numbers ``x`` of the graph as a runtime takes them for an input of ``dtype``; float32 stands
    for what they mean, and gives them when it is quantised."""
    if dtype == np.float32 and tensor.dtype == "int8":
        real = (x.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)
        return axes_of_file(tensor, real)
    return from_graph(tensor, x)


def from_runtime(tensor: Tensor, y: Values) -> Values:
    """Numbers of the graph from what a runtime gave for an output ``tensor``."""
    if y.dtype == np.float32 and tensor.dtype == "int8":
        y = np.rint(y / np.float32(tensor.scale)) + (tensor.zero_point + 128 * tensor.unsigned)
        y = y.astype(np.uint8 if tensor.unsigned else np.int8)
    return to_graph(tensor, y)


def axes_of_file(tensor: Tensor, y: Values) -> Values:
    """``y``, of the shape of ``tensor``, with the axes that the file has."""
    if tensor.layout in {"NCW", "NWC"}:
        y = y.reshape(len(y), *tensor.shape[2:])
    return np.moveaxis(y, -1, 1) if tensor.layout in {"NCHW", "NCW"} else y
