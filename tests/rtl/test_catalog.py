# amaranth: UnusedElaboratable=no
"""The cores as the command line makes them."""

import re

import pytest

from rtl.catalog import CORES, build_core, macs_per_cycle
from rtl.family import FAMILIES
from rtl.params import ArrayParams, products_for


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("rows, cols", [(1, 1), (4, 4), (5, 3), (12, 16), (32, 32)])
def test_every_shape_can_be_built(core, family, rows, cols):
    component = build_core(core, rows=rows, cols=cols, family=family)
    expected = rows * cols if core not in {"im2col", "requantizer"} else 0
    assert macs_per_cycle(component) == expected


@pytest.mark.parametrize("rows, cols, fir_rows, multipliers, counts", [
    (8, 8, 3, 64, {"dsp": 64}),
    (8, 8, 3, 28, {"dsp2": 40, "dsp": 8, "lut": 16}),  # 20 packed pairs below the FIR, 8 single
    (8, 8, 3, 20, {"dsp2": 40, "lut": 24}),
    (8, 8, 0, 28, {"dsp2": 56, "lut": 8}),
    (1, 1, 1, 0, {"lut": 1}),
    (3, 3, 0, 4, {"dsp2": 6, "dsp": 1, "lut": 2}),
])
def test_products_use_every_multiplier(rows, cols, fir_rows, multipliers, counts):
    products = products_for(rows, cols, fir_rows, "ecp5", multipliers)
    array = ArrayParams(rows=rows, cols=cols, fir_rows=fir_rows, products=products)
    got = {}
    for row in range(rows):
        for stage in range(array.stages):
            kind = array.kind(row, stage)
            got[kind] = got.get(kind, 0) + array.stage_cols(stage)
    assert got == counts


@pytest.mark.parametrize("arguments, message", [
    ({"core": "gem"},
     ("core must be one of array, im2col, requantizer, gemm, conv2d, accelerator, not 'gem'; did "
      "you mean gemm?")),
    ({"core": "gemm", "rows": 33}, "rows must be between 1 and 32, not 33"),
    *(({"core": "conv2d", "family": family, "multipliers": -4},
       "multipliers must be between 0 and 1024, not -4") for family in FAMILIES),
    ({"core": "im2col", "drain_lanes": 2},
     "im2col has no drain_lanes; its options are buffer_bytes, fir_rows, word_bytes"),
    ({"core": "requantizer", "requantize": 5},
     "requantize must be one of 1, 2, 3, 4, 6, not 5"),
    ({"core": "accelerator", "word_bytes": 8}, (
        "accelerator has no word_bytes; its options are activation_bytes, buffer_bytes, bus, "
        "channels, depth, drain_lanes, fir_rows, program_words, requantize, rounding, "
        "weight_bytes")),
    ({"core": "accelerator", "bus": "apb"}, "bus must be one of axi, wishbone, not 'apb'"),
    *(({"core": core, "family": "ice40", "rounding": "float32"}, (
        "requantize must be 1 for the rounding float32, not 3: the serial multiplier drops the "
        "bits that a float32 is rounded by"))
      for core in ("requantizer", "conv2d", "accelerator")),
    ({"core": "conv2d", "drain_lanes": 3}, "drain_lanes must divide the 8 columns, not be 3"),
])
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_core(**arguments)


def test_refuses_floats():
    with pytest.raises(TypeError, match=r"^rows must be an integer, not 4\.0$"):
        build_core("array", rows=4.0)
