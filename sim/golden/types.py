"""What the golden models take and give."""

from typing import Required, TypedDict

import numpy as np
import numpy.typing as npt

__all__ = ["ConvGeometry", "Float32", "Int16", "Int32", "Int64", "Int8", "Padding", "Pair",
           "TransposedGeometry"]

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

#: Along lines and along columns: a kernel, a stride, a size; or before and after an axis.
Pair = tuple[int, int]
#: ((top, bottom), (left, right)).
Padding = tuple[Pair, Pair]


class ConvGeometry(TypedDict, total=False):
    """Where a convolution reads: what the functions of accumulators and of results share."""

    input_zero_point: Required[int]
    stride: Pair
    dilation: Pair
    padding: Padding


class TransposedGeometry(TypedDict, total=False):
    """The same of a transposed convolution, whose result is of ``size``."""

    input_zero_point: Required[int]
    size: Required[Pair]
    stride: Pair
    padding: Padding
