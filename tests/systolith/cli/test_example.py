"""``systolith example``, and the commands that it names."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from systolith.cli import app
from systolith.zoo.example import FILES, write_example


def test_all_of_it(tmp_path, monkeypatch):
    """Each command that is named next works, one after the other."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["example", "a folder"])
    assert result.exit_code == 0, result.exception
    assert {each.name for each in (tmp_path / "a folder").iterdir()} == set(FILES)
    first, *commands = re.findall(r"^  (.*)", result.output, re.MULTILINE)
    assert first == "cd 'a folder'" and len(commands) == 4
    monkeypatch.chdir(tmp_path / "a folder")
    said = []
    for command in commands:
        words = shlex.split(command)
        assert words.pop(0) == "systolith"
        if words[0] == "run":
            words += ["--count", "2"]
        if words[0] == "evaluate":
            words += ["--count", "100", "--jobs", "1"]
        if "--board" not in words and words[0] == "run":
            words += ["--rows", "4", "--cols", "4"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.exception
        said.append(result.output)
    assert "0 of 20 bytes differ from TensorFlow Lite Micro" in said[0]
    accuracy = re.search(r"accuracy ([\d.]+)%; of the float network ([\d.]+)%", said[2])
    assert float(accuracy[1]) >= 95 and float(accuracy[2]) >= 95
    assert "0 of 20 bytes differ from onnxruntime" in said[3]


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "test.npz").write_text("mine")
    with pytest.raises(ValueError, match=r"test\.npz is there already"):
        write_example(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["test.npz"]
    result = CliRunner().invoke(app, ["example", str(tmp_path / "test.npz")])
    assert "is a file; name a folder" in str(result.exception)
