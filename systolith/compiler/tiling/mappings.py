"""The ways in which a layer can run on a machine."""

import functools
from dataclasses import dataclass

from rtl.im2col import ConvShape
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.folding import fold_shape, folding_saves_tiles

__all__ = ["Mapping", "mappings_of"]


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """One of them.

    ``layer`` is as its images go in: with height and width exchanged if ``transposed``. With
    ``fir`` a depthwise layer runs as filters down the columns; if ``folded``, lines under the
    kernel lie interleaved.
    """

    machine: Machine
    layer: ConvLayer
    fir: bool
    transposed: bool
    folded: bool = False

    @functools.cached_property
    def shape(self) -> ConvShape:
        """That of the lines that go in, which those under the kernel make up between them if
        ``folded``."""
        return fold_shape(self.layer.shape) if self.folded else self.layer.shape

    @functools.cached_property
    def _fir_phases(self) -> tuple[int, int, int]:
        return self.shape.fir_phases(self.machine.array.fir_rows)

    @functools.cached_property
    def row_tiles(self) -> int:
        """Those of a pass."""
        if self.fir:
            phases, chunks, _ = self._fir_phases
            return self.shape.kernel[0] * phases * chunks
        return self.shape.row_tiles(self.machine.array.rows)

    @functools.cached_property
    def tiles(self) -> int:
        """Passes over the same channels of input."""
        filters = self.layer.filters
        return filters if self.fir else -(-filters // self.machine.array.cols)

    @functools.cached_property
    def groups(self) -> int:
        """Groups of channels of input that passes go over."""
        groups = self.shape.groups
        return -(-groups // self.machine.array.cols) if self.fir else groups

    @property
    def passes(self) -> int:
        """Those of a band."""
        return self.tiles * self.groups

    @functools.cached_property
    def trail(self) -> int:
        """Vectors at the end of a line that only end a filter."""
        return self._fir_phases[2] if self.fir else 0

    @functools.cached_property
    def lines(self) -> int:
        """Output lines of each pixel lane."""
        return self.shape.lane_lines(self.machine.pixel_lanes)

    @property
    def words(self) -> int:
        """Input words of an image."""
        return self.shape.height * self.shape.line_words(self.machine.im2col.word_bytes)

    @functools.cached_property
    def short_acc(self) -> int:
        """1 if all sums are requantised in a cycle less than others, else 0."""
        return self.layer.short_acc(self.machine)

    @property
    def scattered(self) -> bool:
        """Whether the channels of a beat do not lie side by side in the result."""
        filters = self.layer.filters
        if self.fir:
            return filters > 1
        return self.shape.groups > 1 and filters % self.machine.drain_lanes > 0

    def config(self, band: int) -> dict[str, int]:
        """Fields for the im2col unit; raises :exc:`ValueError` if the build is exceeded."""
        array = self.machine.array
        return self.shape.config(
            self.machine.im2col, band=band, tiles=self.tiles, pad=self.layer.input_zero_point,
            fir_taps=array.fir_rows if self.fir else 0, cols=array.cols)

    def longest(self) -> int:
        """The longest band; raises :exc:`ValueError` if that is none."""
        self.config(1)
        width, depth = self.shape.out_width, self.machine.depth
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
    def least(self) -> dict[str, int]:
        """What a build must have for a single line of output, by parameter."""
        shape, word_bytes = self.shape, self.machine.im2col.word_bytes
        lines = shape.span(0) + (self.machine.pixel_lanes - 1) * shape.stride[0]
        lines = min(lines, shape.height) * shape.line_words(word_bytes) * word_bytes
        padded = (shape.width + sum(shape.padding[1])) * shape.pixel_bytes
        return {"buffer_bytes": max(lines, -(-padded // 2)), "max_lines": shape.height,
                "depth": shape.out_width}

    @property
    def memory(self) -> int:
        """Bytes of block RAM for that."""
        least = self.least
        return least["buffer_bytes"] + 8 * self.machine.array.cols * least["depth"]


def mappings_of(machine: Machine, layer: ConvLayer, fold: bool = True,
                transpose: bool = True) -> list[tuple[Mapping, int]]:
    """Those of which each is the best for some build, each with the longest band that it can take.

    Images are only folded or turned if whoever feeds the machine can do that. Raises
    :exc:`ValueError` if none is possible: why the plainest one is not.
    """
    mappings: list[tuple[Mapping, int]] = []
    why: ValueError | None = None
    for transposed in (False, True)[:1 + transpose]:
        for mapping in _candidates(machine, layer.transposed() if transposed else layer, fold,
                                   transposed):
            try:
                mappings.append((mapping, mapping.longest()))
            except ValueError as error:
                why = why or error
    if why and not mappings:
        raise why
    return mappings


def _candidates(machine: Machine, layer: ConvLayer, fold: bool, transposed: bool) -> list[Mapping]:
    """Ways of a ``layer`` as it goes in, whether the machine's memories suffice or not."""
    plain = Mapping(machine=machine, layer=layer, fir=False, transposed=transposed)
    candidates = [plain]
    if fold and folding_saves_tiles(layer.shape, machine.array.rows):
        candidates.insert(0, Mapping(machine=machine, layer=layer, fir=False,
                                     transposed=transposed, folded=True))
    if layer.depthwise and machine.array.fir_rows:
        candidates.append(Mapping(machine=machine, layer=layer, fir=True, transposed=transposed))
    return candidates
