"""Presets of boards: each can be built, by its own declaration."""

from pathlib import Path

import pytest

from boards.board import Board, board_of, boards
from boards.devices import DEVICES
from rtl.accelerator import Accelerator

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


def test_unknown_board():
    with pytest.raises(ValueError, match=r"^board must be one of .*ulx3s-85f.*, not 'arty'$"):
        board_of("arty")


def test_params_are_checked():
    with pytest.raises(TypeError, match=r"^params must be AcceleratorParams, not 3$"):
        Board(name="a", title="A", device="up5k", platform="icebreaker:ICEBreakerPlatform", mhz=1,
              params=3)


def test_macros_are_those_of_ecp5():
    with pytest.raises(ValueError, match=r"^macros can be placed on an ECP5, not on up5k$"):
        Board(name="a", title="A", device="up5k", platform="icebreaker:ICEBreakerPlatform", mhz=1,
              params=board_of("icebreaker").params, macros=True)


def test_every_board_has_a_line_in_the_docs():
    text = Path(__file__).parents[1].joinpath("docs", "boards.md").read_text()
    for name in NAMES:
        family, _, size = name.partition("-")
        assert f"`{name}`" in text or (f"`{family}-" in text and f"`-{size}`" in text), name
