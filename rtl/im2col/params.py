import functools
from dataclasses import dataclass

from amaranth import *
from amaranth.lib import data
from amaranth.utils import ceil_log2

from rtl.params import MAX_PIXEL_LANES
from rtl.validate import integer

__all__ = ["Im2colParams", "MAX_KERNEL", "MAX_CHANNELS"]

#: Fields of a configuration that only say which tiles there are.
TILES = ("picture_words", "x_origin", "y_origin", "y_origin_words", "y_count", "band_step",
         "band_step_words", "kh_count", "kh_step", "kh_step_words", "kw_count", "kw_step", "chunks",
         "tiles", "groups", "group_step", "chunk_step")

MAX_KERNEL = 32
MAX_CHANNELS = 1024


@dataclass(frozen=True, kw_only=True)
class Im2colParams:
    """Build parameters of the im2col unit.

    Parameters
    ----------
    rows : :class:`int`
        Taps of a vector, 1 to 32.
    vector_bytes : :class:`int`
        Bytes of a vector, at least ``rows``; more where a FIR wants more channels than rows.
    word_bytes : :class:`int`
        Bytes of an input word, and banks of the buffer: a power of two, at least ``vector_bytes``.
        0 stands for the least.
    buffer_bytes : :class:`int`
        Size of the line buffer, a power of two.
    max_lines : :class:`int`
        Height of an image at the most.
    max_images : :class:`int`
        Images of a run at the most.
    pixel_lanes : :class:`int`
        Neighbouring lines of output whose vectors leave side by side, 1 to 4.
    fir : :class:`bool`
        Whether depthwise layers run as FIR filters.
    shared_agu : :class:`bool`
        Whether tiles come from elsewhere, and the configuration says nothing of them.
    output_register : :class:`bool`
        Use the memories' output registers: a cycle more, for a much faster clock on ECP5.
    """

    rows: int
    vector_bytes: int = 0
    word_bytes: int = 0
    buffer_bytes: int = 16384
    max_lines: int = 1024
    max_images: int = 256
    pixel_lanes: int = 1
    fir: bool = False
    shared_agu: bool = False
    output_register: bool = False

    def __post_init__(self):
        def settle(name, value, low, high):
            object.__setattr__(self, name, integer(name, value, low, high))

        settle("rows", self.rows, 1, 32)
        settle("vector_bytes", self.vector_bytes or self.rows, self.rows, 32)
        least = 1 << ceil_log2(self.vector_bytes)
        settle("word_bytes", self.word_bytes or least, least, 64)
        settle("buffer_bytes", self.buffer_bytes, 4 * self.word_bytes, 1 << 17)
        for name in ("word_bytes", "buffer_bytes"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value}")
        settle("max_lines", self.max_lines, 1, 4096)
        settle("max_pictures", self.max_images, 1, 4096)
        settle("pixel_lanes", self.pixel_lanes, 1, MAX_PIXEL_LANES)

    @property
    def words(self):
        """Words in the line buffer."""
        return self.buffer_bytes // self.word_bytes

    @property
    def lane_bits(self):
        """Bits of the number of a lane."""
        return ceil_log2(self.vector_bytes)

    @property
    def position(self):
        """Shape of a byte position in a line, padding included."""
        return signed(ceil_log2(self.buffer_bytes) + 2)

    @property
    def line(self):
        """Shape of the number of a line, padding included."""
        return signed(ceil_log2(self.max_lines + MAX_KERNEL) + 2)

    @functools.cached_property
    def config(self):
        """Layout of what one layer asks of the unit; :meth:`ConvShape.config` fills it.

        Counts are one less than the number they stand for.
        """
        words, lines = range(self.words), self.line.width - 1
        bytes_ = ceil_log2(self.buffer_bytes) + 1
        fields = {
            "pad": signed(8),           # byte that stands for what lies outside an image
            "pictures": range(self.max_images),
            "lines": range(self.max_lines + 1),          # of an image (not less one)
            "line_words": range(self.words + 1),         # of a line (not less one)
            "line_bytes": range(self.buffer_bytes + 1),  # of them, those that are pixels
            "picture_words": words,     # lines * line_words, modulo the buffer
            "x_origin": self.position,  # first byte of the first patch in its line
            "x_step": bytes_,           # bytes from one output pixel to the next
            "x_count": range(self.buffer_bytes),         # vectors of a line of output
            "y_origin": self.line,      # line of the first tap of the first patch
            "y_origin_words": words,    # y_origin * line_words, modulo the buffer
            "y_step": lines,            # lines from one output line to the next
            "y_step_words": words,
            "y_count": lines,           # output lines
            "band": lines,              # output lines of a band
            "band_step": lines,         # band * y_step
            "band_step_words": words,
            "kh_count": range(MAX_KERNEL),
            "kh_step": lines,           # lines from one kernel line to the next
            "kh_step_words": words,
            "kw_count": range(MAX_KERNEL),               # runs of bytes in a kernel line
            "kw_step": bytes_,          # bytes from one run to the next
            "chunks": range(self.buffer_bytes),          # row tiles of a run
            "tail": range(self.vector_bytes + 1),               # taps in the last of them
            "tiles": range(MAX_CHANNELS),                # passes over the same channels
            "groups": range(MAX_CHANNELS),               # groups of channels
            "group_step": bytes_,       # bytes from one group to the next
        }
        if self.pixel_lanes > 1:  # lines above are those of the first lane
            fields |= {
                "lane_step": lines,     # lines from one pixel lane to the next
                "lane_step_words": words,
            }
        if self.fir:
            fields |= {
                "fir": 1,               # the layer is a depthwise FIR
                "chunk_step": bytes_,   # bytes from one chunk to the next, if it is
                "trail": range(32),     # vectors at the end of a line that only end a filter
            }
        if self.shared_agu:
            fields = {name: shape for name, shape in fields.items() if name not in TILES}
            fields["last_band"] = lines  # output lines of the last band
        return data.StructLayout(fields)

    def __str__(self):
        return f"{self.rows} rows, {self.buffer_bytes} bytes of line buffer"
