"""The ways in which a layer can run on a core."""

from dataclasses import dataclass, replace

from rtl.conv2d import Conv2d

__all__ = ["Mapping", "mappings_of"]


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """One of them.

    ``layer`` is the :class:`~systolith.compiler.tiling.tiling.ConvLayer` as its images go in:
    with height and width exchanged if ``transposed``. ``shape`` is that of the lines, which those
    under the kernel make up between them if ``folded``. With ``fir`` a depthwise layer runs as
    filters down the columns.
    """

    core: Conv2d
    layer: object
    fir: bool
    transposed: bool
    folded: bool = False

    def __post_init__(self):
        array, shape = self.core.array, self.layer.shape
        if self.folded:
            shape = _fold_shape(shape)
        filters = len(self.layer.weights) // shape.groups
        if self.fir:
            phases, chunks, trail = shape.fir_phases(array.fir_rows)
            groups = -(-shape.groups // array.cols)
            parts = shape.kernel[0] * phases * chunks, filters, groups, trail
        else:
            parts = shape.row_tiles(array.rows), -(-filters // array.cols), shape.groups, 0
        lines = shape.lane_lines(self.core.pixel_lanes)
        for name, value in zip(("row_tiles", "tiles", "groups", "trail", "shape", "lines"),
                               (*parts, shape, lines), strict=True):
            object.__setattr__(self, name, value)

    @property
    def passes(self):
        return self.tiles * self.groups

    @property
    def words(self):
        """Input words of an image."""
        return self.shape.height * self.shape.line_words(self.core.im2col_params.word_bytes)

    @property
    def short_acc(self):
        """1 if all sums are requantised in a cycle less than others, else 0."""
        return self.layer.short_acc(self.core)

    def scattered(self, drain_lanes):
        """Whether the channels of a beat do not lie side by side in the result."""
        filters = len(self.layer.weights) // self.shape.groups
        return filters > 1 if self.fir else self.shape.groups > 1 and filters % drain_lanes > 0

    def config(self, band):
        """Fields for the im2col unit; raises :exc:`ValueError` if the build is exceeded."""
        return self.shape.config(
            self.core.im2col_params, band=band, tiles=self.tiles, pad=self.layer.input_zero_point,
            fir_taps=self.core.array.fir_rows if self.fir else 0, cols=self.core.array.cols)

    def longest(self):
        """The longest band; raises :exc:`ValueError` if that is none."""
        self.config(1)
        width, depth = self.shape.out_width, self.core.depth
        if width > depth:
            raise ValueError(f"a line of {width} outputs is more than the {depth} that the "
                             "accumulators of this build hold")
        low, high = 1, min(self.lines, depth // width)
        while low < high:
            middle = (low + high + 1) // 2
            try:
                self.config(middle)
                low = middle
            except ValueError:
                high = middle - 1
        return low

    @property
    def least(self):
        """What a build must have for a single line of output, by parameter."""
        shape, word_bytes = self.shape, self.core.im2col_params.word_bytes
        lines = shape.span(0) + (self.core.pixel_lanes - 1) * shape.stride[0]
        lines = min(lines, shape.height) * shape.line_words(word_bytes) * word_bytes
        padded = (shape.width + sum(shape.padding[1])) * shape.pixel_bytes
        return {"buffer_bytes": max(lines, -(-padded // 2)), "max_lines": shape.height,
                "depth": shape.out_width}

    @property
    def memory(self):
        """Bytes of block RAM for that."""
        least = self.least
        return least["buffer_bytes"] + 8 * self.core.array.cols * least["depth"]


def mappings_of(core, layer, fold=True, transpose=True):
    """Those of which each is the best for some build, and what each can take: (way, longest band).

    Images are only folded or turned if whoever feeds the core can do that. Raises
    :exc:`ValueError` if none is possible: why the plainest one is not.
    """
    mappings, why = [], None
    for transposed in (False, True)[:1 + transpose]:
        lying = layer.transposed() if transposed else layer
        plain = Mapping(core=core, layer=lying, fir=False, transposed=transposed)
        able = [plain]
        if fold and _folds(core, lying.shape, plain.row_tiles):
            able = [
    Mapping(
        core=core,
        layer=lying,
        fir=False,
        transposed=transposed,
        folded=True),
         plain]
        if layer.depthwise and core.array.fir_rows:
            able.append(Mapping(core=core, layer=lying, fir=True, transposed=transposed))
        for mapping in able:
            try:
                mappings.append((mapping, mapping.longest()))
            except ValueError as error:
                why = why or error
    if not mappings:
        raise why
    return mappings


def _folds(core, shape, row_tiles):
    """Whether interleaving lines saves tiles; wide pixels would only make lines longer."""
    if (shape.groups > 1 or shape.dilation[1] > 1 or shape.kernel[0] == 1 or shape.channels > 4):
        return False
    return _fold_shape(shape).row_tiles(core.array.rows) < row_tiles


def _fold_shape(shape):
    """The same layer over lines that interleave those of the kernel."""
    return replace(shape, height=shape.out_height, channels=shape.kernel[0] * shape.channels,
                   kernel=(1, shape.kernel[1]), stride=(1, shape.stride[1]), dilation=(1, 1),
                   padding=((0, 0), shape.padding[1]))
