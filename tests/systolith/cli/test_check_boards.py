"""A network on all boards."""

import json

import pytest
from typer.testing import CliRunner

from boards.board import board_of
from systolith.cli import app, check_boards
from systolith.cli.check_boards import boards_that_fit
from systolith.compiler.estimate import check
from systolith.frontends.tflite import read_tflite
from systolith.zoo.digits import model_bytes
from tests.support.paths import MODELS

NAMES = ("icebreaker", "upduino", "ulx3s-45f", "hx8k")


@pytest.fixture
def model(tmp_path, monkeypatch):
    path = tmp_path / "digits.tflite"
    path.write_bytes(model_bytes())
    known = {name: board_of(name) for name in NAMES}
    monkeypatch.setattr("boards.board.boards", lambda: known)
    return path


def test_all_boards(model):
    result = CliRunner().invoke(app, ["check", str(model), "--board", "all"])
    assert result.exit_code == 0, result.exception
    rows = [line.split() for line in result.stdout.splitlines()]
    order = [row[0] for row in rows if row and row[0] in NAMES]
    assert order == ["ulx3s-45f", "icebreaker", "upduino", "hx8k"]
    found = check(read_tflite(model_bytes()), board_of("icebreaker").params, mhz=24)
    row, = (row for row in rows if row[:1] == ["icebreaker"])
    assert row[1] == "yes" and f"{found.cycles:,}" in row and f"{found.per_second:,.1f}" in row
    short, = (line for line in result.stdout.splitlines() if line.startswith("hx8k"))
    assert short.split()[1] == "no" and "activation bytes, no unit for addition" in short
    assert "it fits 3 of 4 boards" in result.stdout


def test_all_boards_in_json(model):
    result = CliRunner().invoke(app, ["check", str(model), "-b", "all", "--json", "--mhz", "10"])
    found = {each["board"]: each for each in json.loads(result.stdout)}
    assert set(found) == set(NAMES) and not found["hx8k"]["fits"]
    assert found["icebreaker"]["inferences_per_second"] == pytest.approx(
        1e7 / found["icebreaker"]["cycles"])


def test_a_network_that_no_board_runs(model, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("the network is too large for any build")

    monkeypatch.setattr("systolith.compiler.estimate.check", refuse)
    result = CliRunner().invoke(app, ["check", str(model), "-b", "all"])
    assert result.exit_code == 1 and "it fits 0 of 4 boards" in result.stdout
    rows = [line.split()[:2] for line in result.stdout.splitlines() if "too large" in line]
    assert rows == [[name, "no"] for name in NAMES]
    result = CliRunner().invoke(app, ["check", str(model), "-b", "all", "--json"])
    assert {each["problem"] for each in json.loads(result.stdout)} == {
        "the network is too large for any build"}


def test_boards_have_builds_of_their_own(model):
    result = CliRunner().invoke(app, ["check", str(model), "-b", "all", "--pixel-lanes", "2"])
    assert str(result.exception) == ("boards have builds of their own, so --pixel-lanes cannot be "
                                     "given with --board all")


def test_boards_that_fit(model):
    assert boards_that_fit(read_tflite(model_bytes())) == ["icebreaker", "upduino", "ulx3s-45f"]


def test_what_is_planned(model, monkeypatch):
    monkeypatch.setattr(check_boards, "clock_is_met", lambda board: board.name != "upduino")
    result = CliRunner().invoke(app, ["check", str(model), "-b", "all"])
    planned = [line.split()[0] for line in result.stdout.splitlines() if " planned" in line]
    assert planned == ["upduino"]


@pytest.mark.parametrize("name, moved", [
    ("kws_dscnn_int8", "during runs"), ("vww_96_int8", "between runs")])
def test_what_fits_asks_for_no_more_memory(name, moved):
    """Not even where there is no room for the next input while the accelerator runs."""
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    result = CliRunner().invoke(app, ["check", str(path), "--board", "icebreaker"])
    assert result.exit_code == 0 and "it fits iCEBreaker" in result.output
    assert "1 drain lane, 3 cycles per requantisation" in result.output
    for word in ("larger", "needed,", "would help", "short", "more than"):
        assert word not in result.output
    assert f"moved {moved}" in result.output
