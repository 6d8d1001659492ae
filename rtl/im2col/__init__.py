"""The streaming im2col unit: pixels in raster order in, vectors of patches out, no patch matrix."""

from rtl.im2col.im2col import Im2col
from rtl.im2col.layer import ConvShape
from rtl.im2col.params import Im2colParams

__all__ = ["ConvShape", "Im2col", "Im2colParams"]
