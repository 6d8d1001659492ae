"""A build, as far as plans and the cost model depend on it."""

import functools
from dataclasses import dataclass, replace
from math import ceil
from typing import Self

from rtl.accelerator.control.descriptor import descriptor_words
from rtl.accelerator.memories import OUTER_SLOTS
from rtl.accelerator.params import AcceleratorParams
from rtl.conv2d import Conv2d
from rtl.gemm import Gemm
from rtl.im2col import Im2col, Im2colParams
from rtl.params import ArrayParams
from rtl.postprocess import Accumulators, Requantizer

__all__ = ["Machine"]

#: Cycles to the first vector of a layer, besides, where one unit generates all addresses.
SHARED_AGU_START = 11

#: Of a memory shared by all: cycles from a word to the next one, asked for one after the other;
SINGLE_MEMORY_INTERVAL = 2
#: cycles of a word of a layer's input, which waits for weights; of the parameters of a channel, and
#: of one of a short accumulator: beats that are stored every second cycle leave the others to them;
SINGLE_MEMORY_WORD, SINGLE_MEMORY_PARAMS = 2.15, (9, 7)
#: and by how much the parameters of a channel keep weights back.
SINGLE_MEMORY_PARAM_STALL = 1.5

#: Words of SDRAM that come in the time of so many and one more: rows close, and are refreshed. How
#: much later than from a memory on the chip the first one comes.
SDRAM_WORDS, SDRAM_LATENCY = 43, 5


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A build as the compiler sees it: sizes, latencies, and what its memories cost.

    :meth:`of` makes that of an accelerator, :meth:`of_core` that of a :class:`Gemm` or a
    :class:`Conv2d` alone, whose words, weights and parameters come one a cycle: the defaults here.
    Latencies are those that the units themselves state.
    """

    array: ArrayParams
    depth: int            #: Vectors of a pass at the most: what an accumulator memory holds.
    drain_lanes: int      #: Channels that drain, and are requantised, at once.
    pixel_lanes: int      #: Arrays side by side, each with output lines of its own.
    requantize: int       #: Cycles of a beat in the requantizer; 0 if there is none.
    rounding: str         #: Rounding modes of the requantizer.
    output_register: bool  #: Whether block RAMs have their output registers in use.
    im2col: Im2colParams  #: Of the unit with all its address generators, whoever has them.

    #: The least and the largest sum that takes a cycle less in the requantizer; None if none does.
    short_acc_range: tuple[int, int] | None = None

    #: Cycles in which a row of weights comes, in the long run;
    weight_row_cycles: float = 1
    #: from a row to the next one, if each is asked for after the one before;
    weight_row_interval: int = 1
    #: that it takes from other units, which want the same memory.
    weight_row_conflict: int = 0
    #: Rows of the next tile that can wait for the array outside it.
    weight_rows_ahead: int = 0
    #: Cycles by which a layer's first row is later than from a memory on the chip.
    weight_latency: int = 0

    #: Cycles in which a word of input comes, in the long run.
    input_word_cycles: float = 1
    #: Cycles from the start of a layer until the line buffer has its first word: the reader takes
    #: a configuration, and begins anew.
    input_latency: int = 4

    #: Cycles in which the parameters of a channel come: with long accumulators, and with short.
    param_cycles: tuple[int, int] = (1, 1)
    #: Cycles that the parameters of a pass keep its weights back, if there are no others between.
    param_stall: int = 0
    #: Whether the parameters of a channel group come while the one before it drains.
    params_ahead: bool = False

    #: Cycles of a beat whose channels do not lie side by side in the result.
    scatter_cycles: int = 1
    #: Cycles until a layer begins, besides the latencies of its units.
    start_cycles: int = 0

    #: Words of a layer's descriptor; 0 if there are no descriptors.
    descriptor_words: int = 0
    #: Whether a descriptor is loaded while the layer before it runs.
    prefetch: bool = False

    @classmethod
    def of(cls, params: AcceleratorParams) -> Self:
        """The machine of an accelerator of ``params``."""
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        machine = cls(
            array=params.array, depth=params.depth, drain_lanes=params.drain_lanes,
            pixel_lanes=params.pixel_lanes, requantize=params.requantize, rounding=params.rounding,
            output_register=params.output_register,
            im2col=replace(params.im2col, shared_agu=False),
            short_acc_range=params.short_acc_range,
            input_latency=cls.input_latency + 2 * params.output_register,  # registers on the way
            params_ahead=params.output_register, scatter_cycles=params.drain_lanes,
            start_cycles=SHARED_AGU_START if params.shared_agu else 0,
            descriptor_words=descriptor_words(params), prefetch=params.prefetch)
        if params.single_memory:
            return replace(
                machine, weight_row_interval=SINGLE_MEMORY_INTERVAL, weight_row_conflict=1,
                input_word_cycles=SINGLE_MEMORY_WORD, param_cycles=SINGLE_MEMORY_PARAMS,
                param_stall=round(SINGLE_MEMORY_PARAM_STALL * params.array.cols))
        if params.sdram_bits:
            # As many rows as the reader has room for, and one that the array takes meanwhile.
            return replace(
                machine, weight_row_cycles=params.word_cycles * (SDRAM_WORDS + 1) / SDRAM_WORDS,
                weight_rows_ahead=OUTER_SLOTS + 1, weight_latency=SDRAM_LATENCY)
        return machine

    @classmethod
    def of_core(cls, core: Gemm | Conv2d) -> Self:
        """The machine that ``core`` is by itself; a :class:`Gemm` as if it were in a
        :class:`Conv2d` with a line buffer of the default size."""
        if isinstance(core, Conv2d):
            gemm, im2col = core.gemm, core.im2col_params
        elif isinstance(core, Gemm):
            gemm, im2col = core, Im2colParams(
                rows=core.array.rows, vector_bytes=core.array.vector_bytes,
                pixel_lanes=core.pixel_lanes, fir=core.array.fir_rows > 0,
                output_register=core.output_register)
        else:
            raise TypeError(f"core must be a Gemm or a Conv2d, not {core!r}")
        return cls(array=gemm.array, depth=gemm.depth, drain_lanes=gemm.drain_lanes,
                   pixel_lanes=gemm.pixel_lanes, requantize=gemm.requantize, rounding=gemm.rounding,
                   output_register=gemm.output_register, im2col=im2col)

    @property
    def products(self) -> int:
        """Products in a cycle."""
        return self.pixel_lanes * self.array.rows * self.array.cols

    @property
    def channel_groups(self) -> int:
        """Groups of channels in which a pass drains."""
        return self.array.cols // self.drain_lanes

    @property
    def word_beats(self) -> int:
        """Beats that make up a word of activations."""
        return self.im2col.word_bytes // self.drain_lanes

    @functools.cached_property
    def min_tile(self) -> int:
        """Cycles from the first vector of a tile to that of the next one, at the least."""
        return max(Gemm.min_tile_of(self.array, self.output_register),
                   self.weight_row_interval * self.array.rows + 1)

    @functools.cached_property
    def mean_min_tile(self) -> int:
        """The same in the long run, when no rows of weights are ahead any more."""
        return max(self.min_tile, ceil(self.array.rows * self.weight_row_cycles))

    @property
    def weights_start(self) -> int:
        """Cycles from the start of a layer to the first row of its weights."""
        return 3 + self.output_register

    @functools.cached_property
    def im2col_latency(self) -> int:
        """Cycles from the last word of a line to the first vector that needs it."""
        return Im2col.latency_of(self.im2col)

    @functools.cached_property
    def beat_latency(self) -> int:
        """Cycles from the last vector of a pass to the first beat of its drain."""
        return Gemm.beat_latency_of(self.array, self.output_register)

    @functools.cached_property
    def drain_latency(self) -> int:
        """Those, and the cycles from the last beat to the first vector in its place."""
        return Gemm.drain_latency_of(self.array, self.output_register)

    @property
    def accumulator_lead(self) -> int:
        """Cycles by which the accumulators are read before the sums that they add."""
        return Accumulators.lead_of(self.output_register)

    @functools.cached_property
    def requantizer_latency(self) -> int:
        """Cycles of a beat in the requantizer; 0 if there is none."""
        if not self.requantize:
            return 0
        return Requantizer.latency_of(self.requantize, self.rounding)
