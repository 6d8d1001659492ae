"""Builds of the accelerator that suit a part, for the presets of boards."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from boards.devices import device_of
from rtl.accelerator import AcceleratorParams, weight_room
from rtl.params import ArrayParams, products_for
from rtl.postprocess import Requantizer

if TYPE_CHECKING:
    from boards.board import Board

__all__ = ["resized", "ecp5_build", "lfe5u_25_build", "lfe5u_45_build", "lfe5u_85_build",
           "hx8k_build", "up5k_build"]


def ecp5_build(*, rows: int, cols: int, dsps: int, drain_lanes: int, pixel_lanes: int = 1,
               **params: Any) -> AcceleratorParams:
    """:class:`AcceleratorParams` with as many products as can be in the ``dsps`` that
    ``drain_lanes`` of requantisation leave."""
    products = products_for(rows, cols, 3, "ecp5", _left(dsps, drain_lanes, pixel_lanes))
    return AcceleratorParams(array=ArrayParams(rows=rows, cols=cols, fir_rows=3, products=products),
                             drain_lanes=drain_lanes, pixel_lanes=pixel_lanes, **params)


def lfe5u_25_build(sdram_bits: int = 0) -> AcceleratorParams:
    """8x8 products for an LFE5U-25F, or the 12F, which is the same die. Of its 56 block RAMs 16 are
    accumulators, and 8 hold lines; 14 weights and 8 tensors, or 16 tensors and no weights, if these
    lie in SDRAM. It has both roundings."""
    memories = {"sdram_bits": sdram_bits, "weight_bytes": 1 << 22, "activation_bytes": 32768,
                "program_words": 1024}
    if not sdram_bits:
        memories = {"weight_bytes": 26624, "activation_bytes": 16384, "program_words": 512}
    return ecp5_build(rows=8, cols=8, dsps=28, drain_lanes=2, channels=1024, rounding="both",
                      **memories)


def lfe5u_45_build(sdram_bits: int = 0, rounding: str = "tflm") -> AcceleratorParams:
    """12x8 products for an LFE5U-45F: 100 of its 108 block RAMs, 42 of them for weights; or, if
    these lie in SDRAM, more of them for tensors, parameters and layers: networks of images of
    96x96, such as MLPerf Tiny's visual wake words, and wide fully connected ones then find room."""
    memories = {"sdram_bits": sdram_bits, "weight_bytes": 1 << 22, "activation_bytes": 65536,
                "channels": 4096, "program_words": 1024}
    if not sdram_bits:
        memories = {"weight_bytes": 86016, "activation_bytes": 32768, "channels": 1024,
                    "program_words": 512}
    return ecp5_build(rows=12, cols=8, dsps=72, drain_lanes=2, rounding=rounding, **memories)


def lfe5u_85_build(rows: int = 8, rounding: str = "tflm") -> AcceleratorParams:
    """2 lanes of 8x16 products for an LFE5U-85F; or of more rows, which the tools place for a
    faster grade of it."""
    return ecp5_build(rows=rows, cols=16, dsps=156, drain_lanes=8, pixel_lanes=2,
                      activation_bytes=65536, weight_bytes=98304, channels=1024,
                      program_words=1024, rounding=rounding)


def up5k_build() -> AcceleratorParams:
    """4x4 products for an iCE40UP5K: all that a network has lies in its 128 KiB of single-port RAM;
    of its 30 block RAMs, 12 are accumulators and 8 hold lines. Convolutions sum windows; sums of
    tensors are layers of their own, which takes 285 LUTs less."""
    array = ArrayParams(rows=4, cols=4, fir_rows=3, products=products_for(4, 4, 3, "ice40", 8))
    return AcceleratorParams(array=array, depth=256, drain_lanes=1, requantize=3,
                             output_register=False,
                             buffer_bytes=4096, max_lines=96, activation_bytes=131072,
                             single_memory=True, prefetch=False, pooling=False, fused=False,
                             shared_agu=True, sum_bits=24, stall_timeout=4096,
                             layer_timeout=1 << 22)


def hx8k_build() -> AcceleratorParams:
    """2x4 products in LUTs for an iCE40HX8K, which has neither multipliers nor single-port RAM: of
    its 32 block RAMs, 12 are accumulators, 4 hold lines, and 8 the 4 KiB for a whole program. That
    is room for layers, and so there is no addition of tensors. From some seeds routing comes to no
    end; with 4x4 products, in 82 % of the cells, from more."""
    array = ArrayParams(rows=2, cols=4, fir_rows=2, products=products_for(2, 4, 2, "ice40", 0))
    return replace(up5k_build(), array=array, buffer_bytes=2048, activation_bytes=4096,
                   addition=False)


def resized(board: "Board", *, rows: int | None = None, cols: int | None = None,
            drain_lanes: int | None = None, rounding: str | None = None) -> AcceleratorParams:
    """The build of a :class:`~boards.board.Board` with an array of another shape, other lanes of
    requantisation, or another rounding; each that is None stays.

    Raises :exc:`ValueError` for a rounding that the board has no multipliers for.
    """
    if rounding not in {None, "tflm"} and board.family != "ecp5":
        raise ValueError(f"{board.title} takes .tflite networks only: the rounding {rounding} "
                         "needs multipliers of a cycle, which ECP5 boards have")
    params = board.params if rounding is None else replace(board.params, rounding=rounding)
    array = params.array
    rows, cols, drain_lanes = (mine if given is None else given for given, mine in (
        (rows, array.rows), (cols, array.cols), (drain_lanes, params.drain_lanes)))
    if (rows, cols, drain_lanes) == (array.rows, array.cols, params.drain_lanes):
        return params
    dsps = device_of(board.device).dsps
    if board.family == "ecp5":
        dsps = _left(dsps, drain_lanes, params.pixel_lanes)
    fir_rows = min(array.fir_rows, rows)
    products = products_for(rows, cols, fir_rows, board.family, dsps)
    weight_bytes = min(params.weight_bytes, weight_room(cols))
    return replace(params, drain_lanes=drain_lanes, weight_bytes=weight_bytes, array=ArrayParams(
        rows=rows, cols=cols, fir_rows=fir_rows, products=products))


def _left(dsps: int, drain_lanes: int, pixel_lanes: int) -> int:
    """Multipliers of an ECP5 that are left for each of the pixel lanes."""
    return max(dsps - Requantizer.LANE_DSPS * drain_lanes, 0) // pixel_lanes
