"""Presets of boards: each can be built, by its own declaration."""

from dataclasses import replace

import pytest

from boards.board import Board, board_of, boards
from boards.builds import resized
from boards.devices import DEVICES
from boards.presets import upduino
from rtl.accelerator import Accelerator
from rtl.postprocess import Requantizer
from tests.support.paths import ROOT

NAMES = sorted(boards())


@pytest.mark.parametrize("name", NAMES)
def test_preset(name):
    board = board_of(name)
    assert board.name == name and board.device in DEVICES
    platform = board.platform_class()()
    assert platform.device[:5] == DEVICES[board.device].part[:5]
    assert (platform.default_clk if board.clock is None else board.clock, 0) in platform.resources
    Accelerator(board.params)
    array, device = board.params.array, DEVICES[board.device]
    assert array.rows * array.cols > 0 and board.mhz < device.frequency


@pytest.mark.parametrize("name", NAMES)
def test_preset_takes_no_more_multipliers_than_there_are(name):
    board = board_of(name)
    array, drain_lanes = board.params.array, board.params.drain_lanes
    kinds = [(array.kind(row, stage), array.stage_cols(stage))
             for row in range(array.rows) for stage in range(array.stages)]
    taken = board.params.pixel_lanes * sum(
        {"dsp": width, "dsp2": 1, "mac16": 1}.get(kind, 0) for kind, width in kinds)
    if board.family == "ecp5":
        taken += Requantizer.LANE_DSPS * drain_lanes
    assert taken <= DEVICES[board.device].dsps


def test_unknown_board():
    with pytest.raises(ValueError, match=r"^board must be one of .*ulx3s-85f.*, not 'arty'$"):
        board_of("arty")


def test_params_are_checked():
    with pytest.raises(TypeError, match=r"^params must be AcceleratorParams, not 3$"):
        Board(name="a", title="A", device="up5k", platform="icebreaker:ICEBreakerPlatform", mhz=1,
              params=3)


NO_CLASS = "must be a module of amaranth-boards and a class in it, as module:class, not"


@pytest.mark.parametrize("platform, reason", [
    ("my_board:MyBoardPlatform",
     f"{NO_CLASS} 'my_board:MyBoardPlatform': No module named 'amaranth_boards.my_board'"),
    ("icebreaker:Nothing",
     f"{NO_CLASS} 'icebreaker:Nothing': module 'amaranth_boards.icebreaker' has no attribute .*"),
    ("ulx3s:ULX3S_25F_Platform",
     "must be one of an up5k; ulx3s:ULX3S_25F_Platform has an LFE5U-25F"),
])
def test_the_platform_is_one_that_there_is(platform, reason):
    board = replace(board_of("icebreaker"), platform=platform)
    with pytest.raises(ValueError, match=f"^the platform of icebreaker {reason}$"):
        board.platform_class()


def test_roundings_of_boards():
    """ECP5 boards take either kind of network, iCE40 boards .tflite alone."""
    for board in boards().values():
        if board.family == "ecp5":
            params = resized(board, rounding="both")
            assert params == replace(board.params, rounding="both")
            continue
        assert resized(board, rounding="tflm") == board.params
        with pytest.raises(ValueError, match="takes .tflite networks only: the rounding both "
                                             "needs multipliers of a cycle"):
            resized(board, rounding="both")


def test_names_are_of_one_board(monkeypatch):
    monkeypatch.setattr(upduino, "BOARDS", (replace(board_of("hx8k"), mhz=12),))
    with pytest.raises(ValueError, match=r"^two boards in boards/presets have the name hx8k; "):
        boards()


def test_macros_are_those_of_ecp5():
    with pytest.raises(ValueError, match=r"^macros can be placed on an ECP5, not on up5k$"):
        Board(name="a", title="A", device="up5k", platform="icebreaker:ICEBreakerPlatform", mhz=1,
              params=board_of("icebreaker").params, macros=True)


def test_spread_enables_says_how_macros_are_placed():
    board = board_of("ecpix5-85f")
    assert board.macros and board.spread_enables
    with pytest.raises(ValueError,
                       match=r"^spread_enables must be given with macros: it says where these "
                             r"are placed$"):
        replace(board, macros=False)


def test_every_board_has_a_line_in_the_docs():
    text = ROOT.joinpath("docs", "boards.md").read_text()
    for name in NAMES:
        family, _, size = name.partition("-")
        assert f"`{name}`" in text or (f"`{family}-" in text and f"`-{size}`" in text), name
