"""What is wrong with a command is told before anything slow begins."""

import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from boards.flow.flash import FlashError
from systolith.cli import app
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.zoo.digits import model_bytes


class Slow(AssertionError):
    """Something slow has begun."""


#: What takes long: simulators, synthesis, place and route, conversations with boards.
SLOW = ("sim.compiled.find_library", "sim.virtual_board.find_library",
        "boards.flow.bitstream.netlist_of", "boards.flow.toolchain.netlist_of",
        "boards.flow.report.synthesise", "rtl.export.verilog.emit_verilog",
        "boards.flow.clocks.build_bitstream", "systolith.runtime.discovery.open_device")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a network of one input and one of two, and nothing slow."""
    def slow(*_, **__):
        raise Slow

    for name in SLOW:
        monkeypatch.setattr(name, slow)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.tflite").write_bytes(model_bytes())
    end = {"shape": (1, 2, 3, 4), "scales": (0.5,), "zero_point": 3}
    add = make_operator("ADD", (0, 1), (2,), {"activation": "NONE"})
    (tmp_path / "add.tflite").write_bytes(write_tflite(Graph(
        tensors=tuple(Tensor(name=name, **end) for name in ("a", "b", "sum")), inputs=(0, 1),
        outputs=(2,), operators=(add,))))
    for count in (2, 3):
        np.save(f"x{count}.npy", np.zeros((count, 2, 3, 4), np.int8))
    np.save("square.npy", np.zeros((4, 4), np.int8))
    np.save("long.npy", np.zeros((1, 1 << 17), np.int8))
    np.save("tall.npy", np.zeros((1 << 17, 1), np.int8))
    np.save("wrong.npy", np.zeros((1, 7, 8, 1), np.int8))
    np.save("real.npy", np.zeros((1, 8, 8, 1), np.int32))
    np.save("matrix.npy", np.zeros((5, 19), np.int8))
    with zipfile.ZipFile("cut.npz", "w"):
        pass
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.v").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("words, message", [
    ("run digits.tflite --input none.npy", "No such file or directory: 'none.npy'"),
    ("run digits.tflite --input wrong.npy",
     "wrong.npy must hold int8 or real inputs of the shape (n, 8, 8, 1), not int8 (1, 7, 8, 1)"),
    ("run digits.tflite --input real.npy", "not int32 (1, 8, 8, 1)"),
    ("run add.tflite --input x2.npy --input x3.npy",
     "inputs must have as many images each, not 2 in x2.npy and 3 in x3.npy"),
    ("run add.tflite --input x2.npy", "the network has 2 inputs (a, b): give a file for each"),
    ("run digits.tflite --input wrong.npy --on /dev/ttyUSB0", "wrong.npy must hold int8"),
    ("run digits.tflite --output folder", "folder is a folder; name a file"),
    ("run digits.tflite --board icebreakr", "did you mean icebreaker?"),
    ("run digits.tflite --rows 0", "rows must be between 1 and 32, not 0"),
    ("run digits.tflite --compare tfl", "did you mean tflm?"),
    ("run digits.tflite --board hx8k", "the network does not fit iCE40-HX8K"),
    ("gemm matrix.npy matrix.npy -o c.npy",
     "matrices must be (M, K) and (K, N), not (5, 19) and (5, 19)"),
    ("gemm matrix.npy none.npy -o c.npy", "No such file or directory: 'none.npy'"),
    ("emit accelerator -o folder", "folder is a folder; name a file"),
    ("emit accelerator -o x.v --top 1x", "'1x' cannot be the name of a module"),
    ("report conv2d --device up5", "did you mean up5k?"),
    ("report conv2 --device up5k", "did you mean conv2d?"),
    ("build --board icebreaker --rows 99", "rows must be between 1 and 32, not 99"),
    ("build --board icebreaker --keep there.v/x", "there.v is a file; name a folder"),
    ("flash --board icebreaker none.bin", "none.bin is not a bitstream: build it first"),
    ("flash --board orangecrab-25f --volatile", "leave out --volatile"),
    ("board icebreaker --rows 3", "icebreaker names a build, so --rows cannot be given with it"),
    ("board --vcd folder", "folder is a folder; name a file"),
    ("bench none.tflite --board icebreaker --record", "none.tflite: No such file or directory"),
    ("bench --board icebreaker --board hx8", "did you mean hx8k?"),
    ("check none.tflite --board all", "none.tflite: No such file or directory"),
    ("run digits.tflite --output digits.tflite", "digits.tflite is an input, which would be lost"),
    ("run digits.tflite --baud 9600", "--baud is that of a board, which --on names"),
    ("gemm square.npy square.npy -o square.npy", "square.npy is an input, which would be lost"),
    ("bench --board all --board hx8k", "--board all has every board: leave out hx8k"),
    ("gemm long.npy tall.npy -o c.npy", "sums of 131072 products may exceed int32"),
    ("selftest --faults --baud 9600", "--baud is that of a board, and --faults has none"),
    ("selftest --on /dev/ttyUSB0 --seed 3", "--seed is that of --faults"),
    ("selftest", "give either --on PORT, for a board, or --faults, for the driver"),
])
def test_says_what_is_wrong(words, message, folder):
    before = sorted(folder.iterdir())
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 1 and not isinstance(result.exception, Slow)
    assert message in str(result.exception)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("words", [
    "run digits.tflite", "gemm matrix.npy turned.npy -o c.npy", "emit array -o x.v",
    "report array --device up5k", "build --board icebreaker", "board"])
def test_what_is_right_is_slow(words, folder):
    """So that the names of :data:`SLOW` are those of what takes long."""
    np.save("turned.npy", np.zeros((19, 5), np.int8))
    result = CliRunner().invoke(app, words.split())
    assert isinstance(result.exception, Slow), result.exception


def test_the_record_of_clocks_has_to_be_writable(folder, monkeypatch):
    monkeypatch.setattr("boards.flow.clocks.FILE", folder / "folder")
    result = CliRunner().invoke(app, ["bench", "--board", "icebreaker", "--record"])
    assert "folder is a folder; name a file" in str(result.exception)


@pytest.mark.parametrize("words", [
    [], ["--volatile"], ["--cable", "ft232"], ["--model", "digits.tflite"],
    ["--model", "digits.tflite", "top.bit"]])
def test_flash_looks_for_the_board_first(words, folder, monkeypatch):
    """Not only when it is to be loaded, after minutes of place and route."""
    asked = []

    def find_board(board, **options):
        asked.append((board.name, options))
        raise FlashError("no board is plugged in")

    monkeypatch.setattr("boards.flow.flash.find_board", find_board)
    (folder / "top.bit").write_bytes(b"\xff\xff\xbd\xb3 bits")
    board = "ulx3s-25f"
    if "--volatile" in words or "--cable" in words:
        board = "ulx3s-45f"
    result = CliRunner().invoke(app, ["flash", "--board", board, *words])
    assert str(result.exception) == "no board is plugged in"
    assert asked == [(board, {"cable": "ft232" if "--cable" in words else None})]
