"""Lines of an image that lie interleaved, so that one line of them has all that a kernel covers."""

from dataclasses import replace

import numpy as np

from rtl.im2col import ConvShape

__all__ = ["fold_images", "fold_shape", "folding_saves_tiles"]

#: Channels of a pixel at the most: wide pixels fill their tiles anyway, and lines become longer.
MAX_CHANNELS = 4


def folding_saves_tiles(shape: ConvShape, rows: int) -> bool:
    """Whether a layer has fewer row tiles, of ``rows`` taps, over interleaved lines."""
    if (shape.groups > 1 or shape.dilation[1] > 1 or shape.kernel[0] == 1
            or shape.channels > MAX_CHANNELS):
        return False
    return fold_shape(shape).row_tiles(rows) < shape.row_tiles(rows)


def fold_shape(shape: ConvShape) -> ConvShape:
    """The same layer over lines that interleave those of the kernel."""
    return replace(shape, height=shape.out_height, channels=shape.kernel[0] * shape.channels,
                   kernel=(1, shape.kernel[1]), stride=(1, shape.stride[1]), dilation=(1, 1),
                   padding=((0, 0), shape.padding[1]))


def fold_images(images: np.ndarray, shape: ConvShape, pad: int) -> np.ndarray:
    """Lines ``[oy][x][kh][c]``: for each output line, the input lines under the kernel."""
    x = np.pad(images, ((0, 0), shape.padding[0], (0, 0), (0, 0)), constant_values=pad)
    lines = (np.arange(shape.out_height)[:, None] * shape.stride[0]
             + np.arange(shape.kernel[0]) * shape.dilation[0])
    folded = x[:, lines].transpose(0, 1, 3, 2, 4)              # n, oy, x, kh, c
    return folded.reshape(*folded.shape[:3], -1)
