"""From matrices and layers to the streams that :class:`Gemm` and :class:`Conv2d` take, and from
what leaves them back to tensors. No arithmetic but padding and reordering."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from rtl.accelerator.params import TOTAL_BITS
from rtl.im2col import ConvShape
from rtl.validate import integer
from systolith.compiler.tiling.bands import band_bounds, choose
from systolith.compiler.tiling.mappings import mappings_of

__all__ = ["ConvLayer", "ConvPlan", "GemmPlan"]


def _fill(array, axis, multiple):
    """``array`` with zeros after it, up to a multiple of ``multiple`` along ``axis``."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, widths)


class GemmPlan:
    """How ``a @ b`` runs on a :class:`Gemm`: (M, K) by (K, N) int8.

    For each band of rows of ``a``, for each column tile of ``b``, for each row tile. Pixel lanes
    take the rows in turns; ``band`` is the number of rows of a band for each of them; None stands
    for the best.

    Raises :exc:`TypeError` and :exc:`ValueError` for matrices that are not int8, empty or do not
    match, and for a band beyond the depth of the core.
    """

    def __init__(self, core, a, b, band=None):
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
            raise ValueError(f"matrices must be (M, K) and (K, N), not {a.shape} and {b.shape}")
        for name, matrix in (("A", a), ("B", b)):
            if matrix.dtype != np.int8:
                raise TypeError(f"{name} must be of int8, not {matrix.dtype}")
            if 0 in matrix.shape:
                raise ValueError(f"{name} must not be empty, but its shape is {matrix.shape}")
        self.core, self.m, self.n = core, a.shape[0], b.shape[1]
        self.macs = a.shape[0] * a.shape[1] * b.shape[1]
        rows, cols = core.array.rows, core.array.cols
        self.row_tiles, self.col_tiles = -(-a.shape[1] // rows), -(-self.n // cols)
        a = _fill(_fill(a, 1, rows), 0, core.pixel_lanes)
        self.steps = len(a) // core.pixel_lanes
        if band is None:
            band = 1 + int(np.argmin(band_bounds(core, self.steps, 1, self.row_tiles,
                                                 self.col_tiles, min(self.steps, core.depth))))
        self.band = integer("band", band, 1, core.depth)
        self._a = a.reshape(self.steps, core.pixel_lanes, self.row_tiles, rows)
        tiles = _fill(_fill(b, 0, rows), 1, cols)
        self._b = tiles.reshape(self.row_tiles, rows, self.col_tiles, cols).transpose(2, 0, 1, 3)

    @property
    def bands(self):
        """First and last row, exclusive, of each band, as each pixel lane counts them."""
        return [(top, min(top + self.band, self.steps)) for top in range(0, self.steps, self.band)]

    def vectors(self):
        """Fields of the payloads of ``i``."""
        rows, drain_lanes = self.core.array.rows, self.core.array.vector_bytes
        parts = []
        for top, end in self.bands:
            part = self._a[top:end].transpose(2, 0, 1, 3)        # row tile, vector, lane, tap
            flags = np.zeros((4, self.row_tiles, end - top), np.uint8)
            first, last, start, done = flags
            first[:, 0] = last[:, -1] = start[0] = done[-1] = 1
            part = part.reshape(-1, self.core.pixel_lanes, rows)
            parts += [(part, *flags.reshape(4, -1))] * self.col_tiles
        data, first, last, start, done = (np.concatenate(field) for field in zip(*parts,
                                                                                 strict=True))
        data = np.pad(data, ((0, 0), (0, 0), (0, drain_lanes - rows))).reshape(len(data), -1)
        one = np.ones_like(first)
        return {"data": data, "first": first, "last": last, "start": start, "done": done,
                "keep": one, "fir": one * 0}

    def weights(self):
        """Rows (count, cols) of all tiles."""
        return np.tile(self._b.reshape(-1, self.core.array.cols), (len(self.bands), 1))

    def channel_params(self, params):
        """Beats of per-channel ``params`` (a dict of arrays of N) for the requantizer."""
        cols, drain_lanes = self.core.array.cols, self.core.drain_lanes
        return {name: np.tile(_fill(values, 0, cols).reshape(-1, drain_lanes), (len(self.bands), 1))
                for name, values in params.items()}

    @property
    def beats(self):
        """Beats that leave on ``o``."""
        pixels = self.steps * self.core.pixel_lanes
        return pixels * self.col_tiles * self.core.array.cols // self.core.drain_lanes

    def gather(self, beats):
        """The product (M, N) from the ``beats`` (count, drain_lanes) that left."""
        cols, drain_lanes = self.core.array.cols, self.core.drain_lanes
        out, at = [], 0
        for top, end in self.bands:
            count = (end - top) * self.core.pixel_lanes
            shape = self.col_tiles, cols // drain_lanes, count, drain_lanes
            part = beats[at:at + np.prod(shape) // drain_lanes].reshape(shape)
            out.append(part.transpose(2, 0, 1, 3).reshape(count, -1)[:, :self.n])
            at += np.prod(shape) // drain_lanes
        return np.concatenate(out)[:self.m]


@dataclass(frozen=True, kw_only=True)
class ConvLayer:
    """A convolution with its constants.

    ``weights`` are (cout, kh, kw, cin / groups) int8. In a depthwise layer (as many groups as
    channels) output channel ``c * multiplier + j`` reads input channel ``c``. ``bias`` are int32;
    ``multiplier`` and ``shift`` are those of :func:`sim.golden.requantize.channel_params`.
    """

    shape: ConvShape
    weights: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    input_zero_point: int
    zero_point: int
    low: int = -128
    high: int = 127

    def __post_init__(self):
        shape, filters = self.shape, len(self.weights)
        expected = (filters, *shape.kernel, shape.channels // shape.groups)
        if self.weights.shape != expected or self.weights.dtype != np.int8:
            raise ValueError(f"weights must be int8 of shape {expected}, not "
                             f"{self.weights.dtype} of shape {self.weights.shape}")
        if filters % shape.groups:
            raise ValueError(f"the {shape.groups} groups must divide the {filters} filters")
        for name in ("bias", "multiplier", "shift"):
            if np.shape(getattr(self, name)) != (filters,):
                raise ValueError(f"{name} must have an entry for each of the {filters} filters, "
                                 f"not the shape {np.shape(getattr(self, name))}")

    @property
    def macs(self):
        shape = self.shape
        return shape.images * shape.out_height * shape.out_width * self.weights.size

    @property
    def depthwise(self):
        return self.shape.groups == self.shape.channels > 1

    @functools.cached_property
    def _sums(self):
        """The least and the largest sums of each filter's products with any int8."""
        weights = self.weights.reshape(len(self.weights), -1).astype(np.int64)
        return [order(-128 * weights, 127 * weights).sum(axis=1)
                for order in (np.minimum, np.maximum)]

    @property
    def sum_bits(self):
        """Bits that hold the sum of a filter's products with any int8; with its bias, if these are
        more than those of any sum that is requantised."""
        sums, totals = (1 + max(int(-low.min() - 1).bit_length(), int(high.max()).bit_length())
                        for low, high in (self._sums, self._totals))
        return sums if totals <= TOTAL_BITS else max(sums, min(totals, 32))

    @property
    def _totals(self):
        return [sums + self.folded_bias() for sums in self._sums]

    def short_acc(self, core):
        """1 if ``core`` requantises all sums in a cycle less than others, else 0."""
        if core.short_acc_range is None:
            return 0
        (low, high), (least, most) = self._totals, core.short_acc_range
        return int(low.min() >= least and high.max() <= most)

    def transposed(self):
        """The same layer over images with height and width exchanged."""
        shape = self.shape
        transposed = {name: getattr(shape, name)[::-1]
                  for name in ("kernel", "stride", "dilation", "padding")}
        return replace(self, weights=self.weights.transpose(0, 2, 1, 3), shape=replace(
            shape, height=shape.width, width=shape.height, **transposed))

    def folded_bias(self):
        """``bias - z * sum(w)``, in 32 bits: what the zero point of the input amounts to."""
        sums = self.weights.reshape(len(self.weights), -1).sum(axis=1, dtype=np.int64)
        return (self.bias - self.input_zero_point * sums).astype(np.int32)


class ConvPlan:
    """How a layer runs on a :class:`Conv2d`: folding, FIR, band, and the streams.

    The fastest way and band by the model of cycles, unless given: ``mapping`` is one of those of
    :func:`mappings_of`. Images are only interleaved with ``fold`` and only turned with
    ``transpose``, if what feeds the core can do that.

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

    def __init__(self, core, layer, band=None, *, fold=True, transpose=True, mapping=None):
        mappings = mappings_of(
    core, layer, fold, transpose) if mapping is None else [
        (mapping, mapping.longest())]
        if band is not None:
            most = max(core.depth // mapping.shape.out_width for mapping, _ in mappings)
            band = integer("band", band, 1, most)
            longest = max(most for _, most in mappings)
            mappings = [(mapping, most)
                         for mapping, most in mappings if min(band, mapping.lines) <= most]
            if not mappings:
                raise ValueError(f"the line buffer of this build holds bands of {longest} lines at "
                                 f"the most, not of {band}")
        mapping, best = choose(core, mappings, band)
        self.core, self.layer, self.shape = core, mapping.layer, mapping.shape
        self.fir, self.transposed, self.folded = mapping.fir, mapping.transposed, mapping.folded
        self.row_tiles, self.tiles, self.groups = mapping.row_tiles, mapping.tiles, mapping.groups
        self.trail, self.lines = mapping.trail, mapping.lines
        self.band = best if band is None else band
        self.scattered = mapping.scattered(core.drain_lanes)
        self.layer_config = mapping.config(self.band)
        # Of those that fit, what takes the least memory.
        least = min((mapping for mapping, _ in mappings), key=lambda mapping: mapping.memory).least
        self.least = {**least, "sum_bits": layer.sum_bits}

    def config(self):
        """Fields of the payload of ``config``."""
        layer = self.layer
        return {"layer": self.layer_config,
                "range": {"zero_point": layer.zero_point, "low": layer.low, "high": layer.high}}

    @property
    def bands(self):
        """Output lines of each band of an image, for each pixel lane."""
        return [min(self.band, self.lines - top) for top in range(0, self.lines, self.band)]

    def words(self, images):
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
            images = _fold(images, self.layer.shape, self.layer.input_zero_point)
        n, h, w, c = images.shape
        word_bytes = self.core.im2col_params.word_bytes
        return _fill(images.reshape(n * h, w * c), 1, word_bytes).reshape(-1, word_bytes)

    def _passes(self):
        """Output channels of each pass, -1 where a column has none: (passes, cols)."""
        cols = self.core.array.cols
        filters = len(self.layer.weights) // self.shape.groups
        channels = np.arange(len(self.layer.weights)).reshape(self.shape.groups, filters)
        if self.fir:  # a pass takes filter j of `cols` channels
            pads = -len(channels) % cols
            table = np.pad(channels, ((0, pads), (0, 0)), constant_values=-1)
            return table.reshape(self.groups, cols, filters).transpose(0, 2, 1).reshape(-1, cols)
        table = np.pad(channels, ((0, 0), (0, -filters % cols)), constant_values=-1)
        return table.reshape(-1, cols)

    @property
    def repeats(self):
        """How often weights and parameters come: for each band."""
        return len(self.bands) * self.shape.images

    def weights(self):
        """Rows (count, cols) of all tiles, for each band."""
        return np.tile(self.band_weights(), (self.repeats, 1))

    def band_weights(self):
        """Rows (count, cols) of all tiles."""
        rows, cols = self.core.array.rows, self.core.array.cols
        passes = self._passes()
        w = self.layer.weights
        if self.folded:
            w = w.transpose(0, 2, 1, 3)[:, None]
        if self.fir:
            taps = self._fir_taps(w[..., 0])                   # cout, kh, phase, chunk, row
        else:
            runs, length = self.shape.runs
            taps = _fill(w.reshape(len(w), -1, length), 2, rows).reshape(len(w), -1, rows)
        taps = taps.reshape(len(w), self.row_tiles, rows)
        tiles = np.where((passes >= 0)[..., None, None], taps[passes], 0)
        tiles = tiles.transpose(0, 2, 3, 1)                    # pass, row tile, row, column
        return tiles.reshape(-1, cols).astype(np.int8)

    def _fir_taps(self, w):
        """Filters (cout, kh, kw) as rows of the array, by phase and chunk of the FIR."""
        taps, stride, dilation = (self.core.array.fir_rows, self.shape.stride[1],
                                  self.shape.dilation[1])
        phases, chunks, _ = self.shape.fir_phases(taps)
        out = np.zeros((*w.shape[:2], phases, chunks, self.core.array.rows), np.int8)
        for tap in range(w.shape[2]):
            step, phase = divmod(tap * dilation, stride)
            out[:, :, phase, step // taps, step % taps] = w[:, :, tap]
        return out

    def channel_params(self):
        """Fields of the payloads of ``params``, for each band."""
        return {name: np.tile(values.reshape(-1, self.core.drain_lanes), (self.repeats, 1))
                for name, values in self.band_params().items()}

    def band_params(self):
        """Fields of the parameters of each channel of each pass."""
        passes = self._passes()
        layer = self.layer
        fields = {"bias": layer.folded_bias(), "multiplier": layer.multiplier,
                  "shift": layer.shift}
        return {name: np.where(passes >= 0, values[passes], 0).reshape(-1)
                for name, values in fields.items()}

    @property
    def beats(self):
        """Beats that leave on ``o``."""
        shape = self.shape
        pixels = shape.images * self.lines * self.core.pixel_lanes * shape.out_width
        return pixels * len(self._passes()) * self.core.array.cols // self.core.drain_lanes

    def gather(self, beats):
        """Output images (n, oh, ow, cout) from the ``beats`` (count, drain_lanes) that left."""
        shape, cols, drain_lanes = self.shape, self.core.array.cols, self.core.drain_lanes
        pixel_lanes, passes = self.core.pixel_lanes, self._passes().reshape(-1)
        out = np.empty((shape.images, shape.out_height, shape.out_width,
                        len(self.layer.weights)), beats.dtype)
        at = 0
        for image in out:
            top = 0
            for lines in self.bands:
                block = (len(passes) // cols, cols // drain_lanes, lines, shape.out_width,
                         pixel_lanes,
                         drain_lanes)
                count = np.prod(block) // drain_lanes
                part = beats[at:at + count].reshape(block).transpose(2, 4, 3, 0, 1, 5)
                part = part.reshape(lines * pixel_lanes, shape.out_width, -1)
                part = part[:shape.out_height - top, :, passes >= 0]
                image[top:top + len(part)][..., passes[passes >= 0]] = part
                at, top = at + count, top + len(part)
        return out.transpose(0, 2, 1, 3) if self.transposed else out


def _fold(images, shape, pad):
    """Lines ``[oy][x][kh][c]``: for each output line, the input lines under the kernel."""
    x = np.pad(images, ((0, 0), shape.padding[0], (0, 0), (0, 0)), constant_values=pad)
    lines = (np.arange(shape.out_height)[:, None] * shape.stride[0]
             + np.arange(shape.kernel[0]) * shape.dilation[0])
    folded = x[:, lines].transpose(0, 1, 3, 2, 4)              # n, oy, x, kh, c
    return folded.reshape(*folded.shape[:3], -1)
