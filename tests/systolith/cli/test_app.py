"""What all commands have: the version, completion for shells, names that were meant."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from boards.board import boards
from systolith import __version__
from systolith.cli import app

MAIN = "import sys; from systolith.cli import main; sys.argv[0] = 'systolith'; main()"


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0 and result.output == f"systolith {__version__}\n"


def complete(*words):
    """What a shell is offered for the last of ``words``."""
    environment = {**os.environ, "_SYSTOLITH_COMPLETE": "complete_bash",
                   "COMP_WORDS": " ".join(["systolith", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run([sys.executable, "-c", MAIN], env=environment, capture_output=True,
                          text=True, timeout=60)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("words, offered", [
    (("se",), ["selftest"]),
    (("run", "--dr"), ["--drain-lanes"]),
    (("build", "--board", "ulx3s-4"), ["ulx3s-45f", "ulx3s-45f-sdram"]),
    (("check", "x.tflite", "-b", "a"), ["all"]),
    (("report", "array", "--device", "up"), ["up5k"]),
    (("emit", "g"), ["gemm"]),
    (("run", "--compare", "l"), ["litert"]),
])
def test_completion(words, offered):
    assert complete(*words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown(shell):
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run([sys.executable, "-c", MAIN, "--show-completion", shell],
                          env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "_SYSTOLITH_COMPLETE" in done.stdout


def test_help_and_version_start_without_what_commands_need():
    code = ("import sys; from systolith.cli import app\n"
            "try: app(['--help'])\nexcept SystemExit: pass\n"
            "print([name for name in ('numpy', 'amaranth', 'onnx') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words, meant", [
    (["chek", "x"], "Did you mean 'check'?"),
    (["run", "--bord", "x"], "--board"),
])
def test_commands_and_options_that_are_meant(words, meant):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and meant in " ".join(result.output.split())


@pytest.mark.parametrize("words", [
    ["run", "--board", "icebraker"], ["check", "x.tflite", "--board", "icebraker"],
    ["emit", "accelerator", "--board", "icebraker", "-o", "x.v"], ["build", "-b", "icebraker"],
    ["flash", "--board", "icebraker"], ["board", "icebraker"], ["bench", "--board", "icebraker"]])
def test_boards_that_are_meant(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert str(result.exception) == (f"board must be one of {', '.join(boards())}, not "
                                     "'icebraker'; did you mean icebreaker?")


def test_help_has_no_type_of_a_flag_and_no_lines_of_the_source():
    result = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"})
    assert "bool" not in result.output
    text = " ".join(result.output.split())
    assert "only softmax, local response normalisation and very large windows run" in text
    assert any("normalisation and very large windows run on the host. The first run" in line
               for line in result.output.splitlines())
