from dataclasses import dataclass

from amaranth import *

from rtl.im2col.params import MAX_CHANNELS, MAX_KERNEL
from rtl.validate import divisor, integer, pair

__all__ = ["ConvShape"]


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """Geometry of one convolution over images in NHWC order.

    Parameters
    ----------
    height, width, channels : :class:`int`
        Of an input image.
    kernel, stride, dilation : pair of :class:`int`
        Along the height and the width.
    padding : pair of pairs
        ``((top, bottom), (left, right))``.
    groups : :class:`int`
        Groups of channels that are convolved separately. ``channels`` groups are a depthwise layer.
    images : :class:`int`
    fill : :class:`int`
        Bytes after the channels of each pixel that belong to no group.
    """

    height: int
    width: int
    channels: int
    kernel: tuple = (1, 1)
    stride: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: tuple = ((0, 0), (0, 0))
    groups: int = 1
    images: int = 1
    fill: int = 0

    def __post_init__(self):
        def settle(name, value):
            object.__setattr__(self, name, value)

        for name, high in (("height", 1 << 16), ("width", 1 << 16), ("channels", MAX_CHANNELS)):
            settle(name, integer(name, getattr(self, name), 1, high))
        axes = "height", "width"
        for name, what, high in (("kernel", "kernel {}", MAX_KERNEL),
                                 ("stride", "stride along the {}", 64),
                                 ("dilation", "dilation along the {}", 64)):
            settle(name, tuple(integer(what.format(axis), value, 1, high) for axis, value in zip(
                axes, pair(name, getattr(self, name)), strict=True)))
        settle("padding", tuple(
            tuple(integer(f"padding along the {axis}", side, 0, 255) for side in pair(
                f"padding along the {axis}", sides))
            for axis, sides in zip(axes, pair("padding", self.padding), strict=True)))
        for axis, name in enumerate(axes):
            if self._output(axis) < 1:
                raise ValueError(f"the kernel spans {self.span(axis)} pixels of {name}, but the "
                                 f"padded image has only {self._padded(axis)}")
        settle("groups", divisor("groups", self.groups, self.channels, "channels"))
        settle("images", integer("images", self.images, 1, 1 << 16))
        settle("fill", integer("fill", self.fill, 0, 64 if self.groups > 1 else 0))

    def span(self, axis):
        """Pixels from the first to the last tap, both included."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def _padded(self, axis):
        return (self.height, self.width)[axis] + sum(self.padding[axis])

    def _output(self, axis):
        return (self._padded(axis) - self.span(axis)) // self.stride[axis] + 1

    @property
    def out_height(self):
        """Lines of an image of output."""
        return self._output(0)

    @property
    def out_width(self):
        """Pixels of a line of output."""
        return self._output(1)

    @property
    def pixel_bytes(self):
        """Bytes from one pixel to the next."""
        return self.channels + self.fill

    @property
    def runs(self):
        """Contiguous runs of bytes in a kernel line, and the length of each."""
        channels = self.channels // self.groups
        if self.kernel[1] == 1 or (self.dilation[1] == 1 and self.groups == 1):
            return 1, self.kernel[1] * channels
        return self.kernel[1], channels

    def row_tiles(self, rows):
        """Row tiles of a pass."""
        runs, length = self.runs
        return self.kernel[0] * runs * -(-length // rows)

    def fir_phases(self, taps):
        """How a FIR of ``taps`` taps covers a kernel line.

        With a stride the outputs need every ``stride``-th pixel: kernel columns fall into
        ``stride`` phases, each a filter over its own pixels. A filter longer than ``taps`` is
        split into chunks. Returns ``(phases, chunks, trail)``, the last being the number of vectors
        that flush the filter.
        """
        stride, span = self.stride[1], self.span(1)
        length = -(-span // stride)
        return min(stride, span), -(-length // taps), min(length, taps) - 1

    def lane_lines(self, pixel_lanes):
        """Lines of output of each of ``pixel_lanes``, among which they are interleaved."""
        return -(-self.out_height // pixel_lanes)

    def line_words(self, word_bytes):
        """Words of an input line; each line begins with a new word."""
        return -(-self.width * self.pixel_bytes // word_bytes)

    def config(self, params, *, band, tiles=1, pad=0, fir_taps=0, cols=1):
        """Values for the fields of ``params.config``.

        ``band`` output lines of each pixel lane are computed at a time, in ``tiles`` passes over
        each group of channels. With ``fir_taps`` the layer, which must be depthwise, runs as FIR
        filters of that many taps over ``cols`` channels at a time.

        Raises :exc:`ValueError` if the layer exceeds a limit of the build: which, and by how much.
        """
        band = min(band, self.lane_lines(params.pixel_lanes))
        self._check_limits(params, band)
        line_words = self.line_words(params.word_bytes)
        fields = {
            "pad": pad,
            "pictures": self.images - 1,
            "lines": self.height,
            "line_words": line_words,
            "line_bytes": self.width * self.pixel_bytes,
            "picture_words": self.height * line_words % params.words,
            **self._position_fields(params, band),
            **self._tap_fields(params),
            "tiles": tiles - 1,
            "groups": self.groups - 1,
            "group_step": self.channels // self.groups,
        }
        if params.pixel_lanes > 1:
            step = self.stride[0] if self.out_height > 1 else 0
            fields |= {"lane_step": step, "lane_step_words": step * line_words % params.words}
        if fir_taps:
            if not params.fir:
                raise ValueError("this build has no FIR for depthwise layers")
            fields |= self._fir_fields(fir_taps, cols)
        elif params.fir:
            fields |= {"fir": 0, "trail": 0, "chunk_step": params.rows}
        layout = params.config
        _refuse_excess((name, value, _most(layout[name].shape)) for name, value in fields.items())
        return fields

    def _check_limits(self, params, band):
        """Refuse what exceeds a limit of the build that is not that of a field."""
        lanes = params.pixel_lanes
        lines = min((band * lanes - 1) * self.stride[0] + self.span(0), self.height)
        beyond = (self.lane_lines(lanes) * lanes - self.out_height) * self.stride[0]
        _refuse_excess([
            ("height", self.height, params.max_lines),
            ("padded height", self._padded(0) + beyond, (1 << params.line.width - 1) - 1),
            ("images", self.images, params.max_images),
            (f"line buffer bytes ({lines} lines for a band of {band * lanes})",
             lines * self.line_words(params.word_bytes) * params.word_bytes, params.buffer_bytes),
            ("padded line bytes", self._padded(1) * self.pixel_bytes, 2 * params.buffer_bytes),
        ])

    # A step that is never taken is 0 in what follows, as it may be more than its field can hold.

    def _position_fields(self, params, band):
        """Fields of the loops over output pixels, output lines and bands."""
        (top, _), (left, _) = self.padding
        words, line_words = params.words, self.line_words(params.word_bytes)
        out_lines = self.lane_lines(params.pixel_lanes)
        y_step = params.pixel_lanes * self.stride[0] if out_lines > 1 else 0
        band_step = band * y_step if out_lines > band else 0
        return {
            "x_origin": -left * self.pixel_bytes,
            "x_step": self.stride[1] * self.pixel_bytes if self.out_width > 1 else 0,
            "x_count": self.out_width - 1,
            "y_origin": -top,
            "y_origin_words": -top * line_words % words,
            "y_step": y_step,
            "y_step_words": y_step * line_words % words,
            "y_count": out_lines - 1,
            "band": band - 1,
            "band_step": band_step,
            "band_step_words": band_step * line_words % words,
        }

    def _tap_fields(self, params):
        """Fields of the loops over kernel lines, their runs, and the chunks of a run."""
        runs, length = self.runs
        chunks = -(-length // params.rows)
        kh_step = self.dilation[0] if self.kernel[0] > 1 else 0
        return {
            "kh_count": self.kernel[0] - 1,
            "kh_step": kh_step,
            "kh_step_words": kh_step * self.line_words(params.word_bytes) % params.words,
            "kw_count": runs - 1,
            "kw_step": self.dilation[1] * self.pixel_bytes if runs > 1 else 0,
            "chunks": chunks - 1,
            "tail": length - (chunks - 1) * params.rows,
        }

    def _fir_fields(self, taps, cols):
        """Fields that are others where the layer runs as FIR filters."""
        phases, chunks, trail = self.fir_phases(taps)
        vectors = self.out_width + trail
        return {
            "fir": 1,
            "trail": trail,
            "x_count": vectors - 1,
            "kw_count": phases - 1,
            "x_step": self.stride[1] * self.pixel_bytes if vectors > 1 else 0,
            "kw_step": self.pixel_bytes if phases > 1 else 0,
            "chunks": chunks - 1,
            "chunk_step": taps * self.stride[1] * self.pixel_bytes if chunks > 1 else 0,
            "tail": cols,
            "groups": -(-self.channels // cols) - 1,
            "group_step": cols,
        }


def _most(shape):
    """The largest number of ``shape``."""
    shape = Shape.cast(shape)
    return (1 << shape.width - shape.signed) - 1


def _refuse_excess(limits):
    """Raise :exc:`ValueError` for the first ``(what, value, limit)`` that exceeds its limit."""
    for what, value, limit in limits:
        if value > limit:
            raise ValueError(f"{what} must be at most {limit} in this build; the layer needs "
                             f"{value}, {value - limit} too many")
