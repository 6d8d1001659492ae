"""``systolith prove``: what it refuses before anything is built, and what it says."""

import pytest
from typer.testing import CliRunner

from systolith.cli import app
from systolith.cli.prove import check_proof, say_proof
from systolith.diagnostics.proof import Proof
from systolith.zoo.digits import model_bytes


@pytest.mark.parametrize("board, reason", [
    ("upduino-spi", "has a link by SPI; only netlists of boards with a UART"),
    ("ulx3s-25f", "has SDRAM, for whose pads there is no model"),
    ("hx8k", "digits.tflite does not fit: memory that all share"),
])
def test_refuses_before_it_builds(tmp_path, monkeypatch, board, reason):
    def slow(*_, **__):
        raise AssertionError("it builds")

    monkeypatch.setattr("boards.flow.bitstream.netlist_of", slow)
    (tmp_path / "digits.tflite").write_bytes(model_bytes())
    done = CliRunner().invoke(app, ["prove", str(tmp_path / "digits.tflite"), "-b", board])
    assert isinstance(done.exception, ValueError) and reason in str(done.exception)


@pytest.mark.parametrize("differing, words", [(0, "0 of 30 bytes differ"), (2, "2 of 30")])
def test_says_what_came_out(capsys, differing, words):
    done = Proof(board="hx8k", netlist_hash="", networks=2, compared=30, differing=differing,
                 cycles=100, seconds=1.0)
    say_proof(done)
    assert words in " ".join(capsys.readouterr().out.split())
    assert done.good == (differing == 0)
    if differing:
        with pytest.raises(RuntimeError, match="2 of 30 bytes differ"):
            check_proof(done)
