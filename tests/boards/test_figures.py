# amaranth: UnusedElaboratable=no
"""The promised area and clock of the cores, out of context: the median of three placements."""

import pytest

from boards.board import boards
from boards.devices import device_of
from boards.flow.report import report
from rtl.catalog import build_core, macs_per_cycle


@pytest.mark.heavy
@pytest.mark.parametrize("core, size, device, multipliers, kinds, luts, mhz", [
    ("array", 8, "lfe5u-25f", 20, {"dsp2": 40, "lut": 24}, 5300, 170),
    ("array", 8, "lfe5u-45f", 72, {"dsp": 64}, None, 160),
    ("array", 4, "up5k", 8, {"mac16": 16}, None, 50),
    ("conv2d", 8, "lfe5u-25f", 28, None, None, 120),
    ("conv2d", 4, "up5k", 8, {"mac16": 16}, 3300, 24),
])
def test_place_and_route(core, size, device, multipliers, kinds, luts, mhz):
    part = device_of(device)
    component = build_core(core, rows=size, cols=size, family=part.family, multipliers=multipliers)
    if kinds is not None:
        assert products(component) == kinds
    result = report(component, device, f"{core} {size}x{size}", macs_per_cycle(component),
                    progress=print)
    print(result)
    assert len(result.placements) == 3
    assert result.macs_per_cycle == size * size
    assert result.dsp_delays_counted == (part.family == "ice40")
    if luts is not None:
        assert result.luts <= luts
    assert result.mhz_median >= mhz


@pytest.mark.heavy
@pytest.mark.parametrize("rounding, luts", [("tflm", 850), ("float32", 1800), ("both", 2600)])
def test_roundings_keep_up_with_boards(rounding, luts):
    """Whichever a board is built with, the requantiser is not what its clock waits for."""
    component = build_core("requantizer", family="ecp5", drain_lanes=2, rounding=rounding)
    result = report(component, "lfe5u-25f", "requantizer", 0, progress=print)
    fastest = max(board.mhz for board in boards().values() if board.family == "ecp5")
    assert result.luts <= luts and result.mhz_median >= 1.15 * fastest


def products(component):
    """How many products of each kind the array of ``component`` has."""
    params = getattr(component, "array", getattr(component, "params", None))
    kinds = {}
    for row in range(params.rows):
        for stage in range(params.stages):
            kind = params.kind(row, stage)
            kinds[kind] = kinds.get(kind, 0) + params.stage_cols(stage)
    return kinds
