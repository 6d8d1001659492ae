"""How long slow work is said to take."""

import json
from types import SimpleNamespace

import pytest

from boards.board import board_of
from boards.builds import resized
from systolith.cli import estimates
from systolith.cli.estimates import build_seconds, building, compiling

BOARD = board_of("icebreaker")


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """The time, of a record on which place and route takes 60, 70 and 100 s; and what estimates
    were made."""
    state = SimpleNamespace(now=0.0, seconds=[])
    monkeypatch.setattr(estimates, "FILE", tmp_path / "pace.json")
    monkeypatch.setattr(estimates, "time", SimpleNamespace(monotonic=lambda: state.now))
    monkeypatch.setattr("boards.flow.clocks.read_clocks", lambda: {
        BOARD.name: SimpleNamespace(seeds=[1, 2, 3], seconds=[60, 70, 100])})

    class Bar:
        def __init__(self, seconds=None):
            state.seconds.append(seconds)

        def __enter__(self):
            return lambda text: None

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(estimates, "progress", Bar)
    return state


def test_a_simulator_by_the_last_one(clock):
    for took in (32, 1, 2):
        with compiling("", "accelerator", 10):
            clock.now += took
    assert clock.seconds == [16, 32, 32]  # the others were there before


@pytest.mark.parametrize("content", ["", "[]", '{"simulators": "x"}', "3"])
def test_a_record_of_paces_that_is_damaged(clock, content):
    estimates.FILE.write_text(content)
    with compiling("", "accelerator", 10):
        clock.now += 8
    assert clock.seconds == [16] and json.loads(estimates.FILE.read_text()) == {"simulators": 0.5}


def test_place_and_route_by_the_record(clock):
    assert build_seconds(BOARD, [1]) == pytest.approx(1.15 * 60)
    assert build_seconds(BOARD, [1, 2, 9]) == pytest.approx(1.15 * (60 + 70 + 70))
    assert build_seconds(board_of("hx8k"), [1]) is None


def test_place_and_route_by_the_last_one(clock, monkeypatch):
    def build(board, **options):
        clock.now += next(times)
        return SimpleNamespace(seconds={"place and route": 120})

    monkeypatch.setattr("boards.flow.bitstream.build_bitstream", build)
    times = iter((5, 130, 5, 5, 5))
    for seed in (1, 1, 3):  # the first one was there before
        building(BOARD, seed=seed)
    building(BOARD, params=resized(BOARD, rows=2))
    building(board_of("hx8k"))
    assert clock.seconds == [*map(pytest.approx, (
        1.15 * 60, 1.15 * 60, 1.15 * 200, 1.15 * 70)), None]
