"""``systolith check --dump``."""

import pytest
from typer.testing import CliRunner

from boards.board import board_of
from systolith.cli import app
from systolith.cli.check import PHASES
from systolith.compiler import dump as phases
from systolith.frontends.model_file import read_model
from systolith.zoo.digits import model_bytes


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(model_bytes())
    return path


def check(*words):
    return CliRunner().invoke(app, ["check", *map(str, words)])


def test_phases_are_those_of_the_compiler():
    assert PHASES == phases.PHASES


@pytest.mark.parametrize("phase", PHASES)
def test_prints_a_phase(model, phase):
    result = check(model, "--board", "icebreaker", "--dump", phase)
    assert result.exit_code == 0
    assert result.stdout == phases.dump(
        read_model(model), board_of("icebreaker").params, phase) + "\n"


@pytest.mark.parametrize("options, message", [
    (["--dump", "layers"], "dump must be one of graph, passes, schedule, memory, program, not "),
    (["--dump", "graph", "--json"], "--dump prints text, and no --json"),
    (["--dump", "graph", "--board", "all"], "--dump is of one build: give one --board"),
])
def test_refuses(model, options, message):
    result = check(model, *options)
    assert result.exit_code == 1 and str(result.exception).startswith(message)
