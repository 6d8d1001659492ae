"""From a layer to the streams that :class:`Conv2d` takes, and from what leaves it back to images.

No arithmetic but padding and reordering.
"""

import math

import numpy as np

from rtl.validate import integer
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.bands import choose
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.folding import fold_images
from systolith.compiler.tiling.mappings import Mapping, mappings_of
from systolith.compiler.tiling.padding import pad_to_multiple

__all__ = ["ConvPlan"]


class ConvPlan:
    """How a layer runs on a :class:`Conv2d`: folding, FIR, band, and the streams.

    The fastest mapping and band by the model of cycles, unless given: ``mapping`` is one of
    :func:`~systolith.compiler.tiling.mappings.mappings_of`. Images are only interleaved with
    ``fold`` and only turned with ``transpose``, if what feeds the machine can do that.

    Raises :exc:`ValueError` for what exceeds the build: what does, and by how much.

    Attributes
    ----------
    band : :class:`int`
        Output lines at a time of each pixel lane; lanes take the lines of an image in turns.
    folded : :class:`bool`
        The lines of the kernel are interleaved on input, so that taps fold across them.
    fir : :class:`bool`
        A depthwise layer that runs as FIR filters down the columns.
    transposed : :class:`bool`
        Images go in with height and width exchanged.
    scattered : :class:`bool`
        The channels of a beat do not lie side by side.
    """

    def __init__(self, machine: Machine, layer: ConvLayer, band: int | None = None, *,
                 fold: bool = True, transpose: bool = True, mapping: Mapping | None = None) -> None:
        mappings = (mappings_of(machine, layer, fold, transpose) if mapping is None
                    else [(mapping, mapping.longest())])
        if band is not None:
            band = integer("band", band, 1, max(machine.depth // each.shape.out_width
                                                for each, _ in mappings))
            mappings = _able(mappings, band)
        best, lines = choose(mappings, band)
        self.machine, self.layer, self.shape = machine, best.layer, best.shape
        self.fir, self.transposed, self.folded = best.fir, best.transposed, best.folded
        self.row_tiles, self.tiles, self.groups = best.row_tiles, best.tiles, best.groups
        self.trail, self.lines, self.scattered = best.trail, best.lines, best.scattered
        self.band = lines if band is None else band
        self.layer_config = best.config(self.band)
        # Of those that fit, what takes the least memory.
        smallest = min((each for each, _ in mappings), key=lambda each: each.memory)
        self.least = {**smallest.least, "sum_bits": layer.sum_bits}

    def config(self) -> dict[str, dict[str, int]]:
        """Fields of the payload of ``config``."""
        layer = self.layer
        return {"layer": self.layer_config,
                "range": {"zero_point": layer.zero_point, "low": layer.low, "high": layer.high}}

    @property
    def bands(self) -> list[int]:
        """Output lines of each band of an image, for each pixel lane."""
        return [min(self.band, self.lines - top) for top in range(0, self.lines, self.band)]

    def words(self, images: np.ndarray) -> np.ndarray:
        """Input words (count, word_bytes) of int8 ``images`` (n, h, w, c)."""
        shape = self.layer.shape
        size = (shape.width, shape.height) if self.transposed else (shape.height, shape.width)
        expected = shape.images, *size, shape.channels
        if images.shape != expected or images.dtype != np.int8:
            raise ValueError(f"images must be int8 of shape {expected}, not {images.dtype} of "
                             f"shape {images.shape}")
        if self.transposed:
            images = images.transpose(0, 2, 1, 3)
        if self.folded:
            images = fold_images(images, self.layer.shape, self.layer.input_zero_point)
        n, h, w, c = images.shape
        word_bytes = self.machine.im2col.word_bytes
        return pad_to_multiple(images.reshape(n * h, w * c), 1, word_bytes).reshape(-1, word_bytes)

    def _passes(self) -> np.ndarray:
        """Output channels of each pass, -1 where a column has none: (passes, cols)."""
        cols, filters = self.machine.array.cols, self.layer.filters
        channels = np.arange(len(self.layer.weights)).reshape(self.shape.groups, filters)
        if self.fir:  # a pass takes filter j of `cols` channels
            pads = -len(channels) % cols
            table = np.pad(channels, ((0, pads), (0, 0)), constant_values=-1)
            return table.reshape(self.groups, cols, filters).transpose(0, 2, 1).reshape(-1, cols)
        table = np.pad(channels, ((0, 0), (0, -filters % cols)), constant_values=-1)
        return table.reshape(-1, cols)

    @property
    def repeats(self) -> int:
        """How often weights and parameters come: for each band."""
        return len(self.bands) * self.shape.images

    def weights(self) -> np.ndarray:
        """Rows (count, cols) of all tiles, for each band."""
        return np.tile(self.band_weights(), (self.repeats, 1))

    def band_weights(self) -> np.ndarray:
        """Rows (count, cols) of all tiles."""
        rows, cols = self.machine.array.rows, self.machine.array.cols
        passes = self._passes()
        w = self.layer.weights
        if self.folded:
            w = w.transpose(0, 2, 1, 3)[:, None]
        if self.fir:
            taps = self._fir_taps(w[..., 0])                   # cout, kh, phase, chunk, row
        else:
            runs, length = self.shape.runs
            taps = pad_to_multiple(w.reshape(len(w), -1, length), 2, rows).reshape(len(w), -1, rows)
        taps = taps.reshape(len(w), self.row_tiles, rows)
        tiles = np.where((passes >= 0)[..., None, None], taps[passes], 0)
        tiles = tiles.transpose(0, 2, 3, 1)                    # pass, row tile, row, column
        return tiles.reshape(-1, cols).astype(np.int8)

    def _fir_taps(self, w: np.ndarray) -> np.ndarray:
        """Filters (cout, kh, kw) as rows of the array, by phase and chunk of the FIR."""
        taps, stride, dilation = (self.machine.array.fir_rows, self.shape.stride[1],
                                  self.shape.dilation[1])
        phases, chunks, _ = self.shape.fir_phases(taps)
        out = np.zeros((*w.shape[:2], phases, chunks, self.machine.array.rows), np.int8)
        for tap in range(w.shape[2]):
            step, phase = divmod(tap * dilation, stride)
            out[:, :, phase, step // taps, step % taps] = w[:, :, tap]
        return out

    def channel_params(self) -> dict[str, np.ndarray]:
        """Fields of the payloads of ``params``, for each band."""
        return {name: np.tile(values.reshape(-1, self.machine.drain_lanes), (self.repeats, 1))
                for name, values in self.band_params().items()}

    def band_params(self) -> dict[str, np.ndarray]:
        """Fields of the parameters of each channel of each pass."""
        passes = self._passes()
        layer = self.layer
        fields = {"bias": layer.folded_bias(), "multiplier": layer.multiplier,
                  "shift": layer.shift}
        return {name: np.where(passes >= 0, values[passes], 0).reshape(-1)
                for name, values in fields.items()}

    @property
    def beats(self) -> int:
        """Beats that leave on ``o``."""
        shape = self.shape
        pixels = shape.images * self.lines * self.machine.pixel_lanes * shape.out_width
        return pixels * len(self._passes()) * self.machine.channel_groups

    def gather(self, beats: np.ndarray) -> np.ndarray:
        """Output images (n, oh, ow, cout) from the ``beats`` (count, drain_lanes) that left."""
        shape, machine, passes = self.shape, self.machine, self._passes()
        groups, channels = len(passes) * machine.channel_groups, passes.reshape(-1)
        out = np.empty((shape.images, shape.out_height, shape.out_width,
                        len(self.layer.weights)), beats.dtype)
        at = 0
        for image in out:
            top = 0
            for lines in self.bands:
                block = groups, lines, shape.out_width, machine.pixel_lanes
                count = math.prod(block)
                part = beats[at:at + count].reshape(*block, machine.drain_lanes)
                part = part.transpose(1, 3, 2, 0, 4)           # line, lane, pixel, group, channel
                part = part.reshape(lines * machine.pixel_lanes, shape.out_width, -1)
                part = part[:shape.out_height - top, :, channels >= 0]
                image[top:top + len(part)][..., channels[channels >= 0]] = part
                at, top = at + count, top + len(part)
        return out.transpose(0, 2, 1, 3) if self.transposed else out


def _able(mappings: list[tuple[Mapping, int]], band: int) -> list[tuple[Mapping, int]]:
    """Those of the ``mappings``, each with its longest band, that can take as many lines."""
    able = [(mapping, most) for mapping, most in mappings if min(band, mapping.lines) <= most]
    if not able:
        raise ValueError("the line buffer of this build holds bands of "
                         f"{max(most for _, most in mappings)} lines at the most, not of {band}")
    return able
