"""The order in which the im2col unit emits its vectors."""

import numpy as np
import numpy.typing as npt

from sim.golden.types import Int8, Padding, Pair

__all__ = ["fir_vectors", "im2col_vectors", "raster_words"]


def raster_words(images: Int8, word_bytes: int) -> Int8:
    """Input words (count, word_bytes) of int8 ``images`` (n, h, w, c); lines are filled up with
    zeros to whole words."""
    n, h, w, c = images.shape
    lines = images.reshape(n * h, w * c)
    return np.pad(lines, ((0, 0), (0, -(w * c) % word_bytes))).reshape(-1, word_bytes)


def _padded(image: Int8, padding: Padding, pad: int) -> Int8:
    return np.pad(image, (*padding, (0, 0)), constant_values=pad)


def im2col_vectors(images: Int8, *, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding,
                   groups: int = 1, rows: int, band: int, tiles: int = 1, pad: int = 0) -> Int8:
    """Vectors (count, rows) of int8 ``images`` (n, h, w, c), in order of emission.

    For each image, band of ``band`` output lines, group of channels, pass (``tiles`` of them),
    row tile, output line and output column: ``rows`` taps in (kh, kw, cin) order. Taps come in
    runs that a tile never crosses: a kernel line where its bytes lie side by side in the image,
    a pixel of it where they do not. What a tile lacks at the end of its run is the pad byte.
    """
    (kh, kw), (sh, sw), (dh, dw) = kernel, stride, dilation
    out = []
    for image in images:
        x = _padded(image, padding, pad)
        oh = (x.shape[0] - (kh - 1) * dh - 1) // sh + 1
        ow = (x.shape[1] - (kw - 1) * dw - 1) // sw + 1
        channels = image.shape[2] // groups
        side_by_side = kw == 1 or (dw == 1 and groups == 1)
        for top in range(0, oh, band):
            oys = range(top, min(top + band, oh))
            for group in range(groups):
                part = x[:, :, group * channels:(group + 1) * channels]
                # patches[oy, ox, kh, run, tap]
                patches = np.array([[part[oy * sh:oy * sh + (kh - 1) * dh + 1:dh,
                                          ox * sw:ox * sw + (kw - 1) * dw + 1:dw]
                                     for ox in range(ow)] for oy in oys])
                runs = patches.reshape(len(oys), ow, kh, 1 if side_by_side else kw, -1)
                fill = -runs.shape[-1] % rows
                runs = np.pad(runs, ((0, 0),) * 4 + ((0, fill),), constant_values=pad)
                cut = runs.reshape(len(oys), ow, -1, rows)
                out += [cut.transpose(2, 0, 1, 3).reshape(-1, rows)] * tiles
    return np.concatenate(out)


def fir_vectors(images: Int8, *, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding,
                taps: int, cols: int, band: int, tiles: int = 1,
                pad: int = 0) -> tuple[Int8, npt.NDArray[np.bool_]]:
    """Vectors (count, cols) and which of them are kept, of a depthwise layer run as FIR filters.

    For each image, band, group of ``cols`` channels, pass, kernel line, phase of the stride,
    chunk of ``taps`` taps and output line: the pixels, ``stride`` apart, that feed one output
    column after the other, and then those that only end the filter. Lanes past the last channel
    are not defined; here they are zero.
    """
    (kh, kw), (sh, sw), (dh, dw) = kernel, stride, dilation
    span = (kw - 1) * dw + 1
    phases, length = min(sw, span), -(-span // sw)
    chunks, trail = -(-length // taps), min(length, taps) - 1
    out, keep = [], []
    for image in images:
        x = _padded(image, padding, pad)
        oh = (x.shape[0] - (kh - 1) * dh - 1) // sh + 1
        ow = (x.shape[1] - span) // sw + 1
        # Filters may look beyond the padding with taps that are zero.
        x = np.pad(x, ((0, 0), (0, sw * taps * chunks + span), (0, -x.shape[2] % cols)),
                   constant_values=pad)
        for top in range(0, oh, band):
            for group in range(0, x.shape[2], cols):
                block = [
                    x[oy * sh + tap * dh, phase + sw * (taps * chunk + n), group:group + cols]
                    for tap in range(kh) for phase in range(phases) for chunk in range(chunks)
                    for oy in range(top, min(top + band, oh)) for n in range(ow + trail)
                ]
                flags = [n < ow for _ in range(len(block) // (ow + trail))
                         for n in range(ow + trail)]
                out += block * tiles
                keep += flags * tiles
    return np.array(out), np.array(keep)
