"""Boards by the command line: the virtual one, what lists them, runs on them, and tests them."""

import itertools
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from boards.board import board_of
from rtl.accelerator.registers import OFFSET_BITS, Window
from sim.virtual_board import VirtualBoard
from systolith.cli import app
from systolith.cli.board import announcement
from systolith.compiler.fitting import small_build
from systolith.diagnostics.selftest import run_selftest
from systolith.runtime.device import Device
from systolith.runtime.discovery import scan
from systolith.runtime.link import Channel
from systolith.runtime.link.serial_port import port_names
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.zoo.digits import held_out, model_bytes

MAIN = "import sys; from systolith.cli import main; sys.argv[0] = 'systolith'; main()"


def call(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def start(path):
    """A process of ``systolith board``, once ``path`` leads to its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "board", "--rows", "4", "--cols", "4", "--port", path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # Whoever runs the tests may have had it ignored, which processes inherit.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    for _ in range(600):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    assert path.is_symlink(), process.communicate()
    return process


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Where ``systolith board`` has put a virtual board, in a process of its own."""
    VirtualBoard(small_build(4, 4))  # compiled once for all tests
    path = tmp_path_factory.mktemp("board") / "port"
    process = start(path)
    try:
        yield path
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and not path.is_symlink()
        assert "a virtual board of 4 x 4 products is at /dev/" in said
        assert "Traceback" not in said and "ended after" in said.splitlines()[-1]
    finally:
        process.kill()


def test_devices(port):
    code, text = call("devices", "--on", port)
    assert code == 0
    assert "4 x 4 products, 65,536 bytes of activations, 131,072 of weights" in text
    code, text = call("devices", "--on", "/dev/there-is-none")
    assert code == 1 and "/dev/there-is-none: there is no such port" in text
    assert text.count("/dev/there-is-none") == 1


def test_evaluate(port, tmp_path):
    digits = held_out()
    np.savez(tmp_path / "x.npz", x=digits.real[:3], labels=digits.labels[:3])
    (tmp_path / "digits.tflite").write_bytes(model_bytes())
    code, text = call("evaluate", tmp_path / "digits.tflite", "--data", tmp_path / "x.npz",
                      "--on", port)
    assert code == 0 and "3 inputs" in text and "accuracy 100.00%" in text


def test_a_memory_that_is_shared_is_told_once(monkeypatch):
    params = board_of("icebreaker").params
    monkeypatch.setattr("systolith.runtime.discovery.open_device", lambda *_: nullcontext(
        SimpleNamespace(params=params, version="1.0")))
    found, = scan([("here", "")])
    assert found.text == ("Systolith 1.0, 4 x 4 products, 131,072 bytes of activations and weights "
                          "together")


def test_devices_without_any(monkeypatch):
    monkeypatch.setattr("systolith.runtime.discovery.port_names", list)
    assert call("devices") == (1, (
        "asking each port for a board\nthere is no serial port: plug the board in, or simulate one "
        "with `systolith board`\n1"))
    assert all(len(each) == 2 for each in port_names())


def test_run_on_a_board(port, tmp_path):
    code, text = call("run", "--on", port, "--count", 3, "--output", tmp_path / "y.npy")
    assert code == 0, text
    assert "3 of 3 held-out digits are recognised" in text
    assert "bit-exact: 0 of 30 bytes differ from TensorFlow Lite Micro" in text
    assert np.load(tmp_path / "y.npy").shape == (3, 10)


@pytest.mark.parametrize("option", [("--rows", 4), ("--board", "ulx3s-45f"), ("--vcd", "a.vcd")])
def test_run_on_a_board_takes_its_build(option):
    code, text = call("run", "--on", "/dev/there-is-none", *option)
    assert code == 1 and "--on takes the build of the board that is there" in text


@pytest.mark.heavy
def test_selftest_command(port):
    code, text = call("selftest", "--on", port)
    assert code == 0 and text.count("ok ") == 6


@pytest.mark.parametrize("options", [(), ("--on", "/dev/x", "--faults")])
def test_selftest_wants_to_know_of_what(options):
    code, text = call("selftest", *options)
    assert code == 1 and "give either --on PORT, for a board, or --faults, for the driver" in text


def test_selftest_finds_a_bit_that_sticks(monkeypatch):
    device, shares = Device(SimulatedPipe(VirtualBoard(small_build(4, 4))), seed=0), []
    checks = list(run_selftest(device, words=300, step=lambda text, share: shares.append(share)))
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert len(set(shares)) > 5
    assert [check.good for check in checks] == [True] * 6, checks
    assert "0 of 20 results are wrong" in checks[5].text
    # Patterns of 300 words of 4 bytes each, whichever memory they lie in.
    assert [checks[n].text for n in (1, 2)] == [checks[n].text for n in (3, 4)]
    assert "of 1200 bytes" in checks[3].text

    read = Channel.read

    def stuck(self, address, count):
        words = read(self, address, count)
        return words | (0x100 if address >> OFFSET_BITS == Window.ACTIVATIONS else 0)

    monkeypatch.setattr(Channel, "read", stuck)
    checks = {check.name: check for check in run_selftest(device, words=300)}
    wrong = checks["activations, holding its addresses"]
    assert not wrong.good and "of 300 words differ, the first at 0: 0x00000100" in wrong.text


class FaultyWeights(Device):
    """A board whose memory of weights holds something else than what is written there."""

    def __init__(self, fault):
        self.fault = fault
        super().__init__(SimulatedPipe(VirtualBoard(small_build(4, 4))), seed=0)

    def post_write(self, address, words):
        if address >> OFFSET_BITS != Window.WEIGHTS:
            return super().post_write(address, words)
        for offset, word in enumerate(words.tolist()):
            super().post_write(*self.fault(address + offset, word))


@pytest.mark.parametrize("fault, wrong", [
    # A bit that is always 1, and one that is always 0: each shows in one of the patterns.
    (lambda at, word: (at, np.array([word | (at % 512 == 299) << 30], "<u4")),
     "1 of 300 words differ, the first at 299: 0x7534de44, not 0x3534de44"),
    (lambda at, word: (at, np.array([word & ~((at % 512 == 0) << 9)], "<u4")),
     "1 of 300 words differ, the first at 0: 0xfffffdff, not 0xffffffff"),
    # A line of the address that has no effect: words of either half lie in the same place.
    (lambda at, word: (at & ~8, np.array([word], "<u4")), "296 of 300 words differ, the first at"),
], ids=["a bit at 1", "a bit at 0", "an address"])
def test_selftest_finds_weights_that_are_wrong(fault, wrong):
    checks = [check for check in itertools.islice(
        run_selftest(FaultyWeights(fault), words=300), 5) if not check.good]
    assert all(check.name.startswith("weights, holding ") for check in checks)
    assert any(wrong in check.text for check in checks), checks


def test_board_leaves_other_files_alone(tmp_path):
    (tmp_path / "there").write_text("mine")
    code, text = call("board", "--port", tmp_path / "there")
    assert code == 1 and "is there already" in text
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("name, words", [
    ("none/port", "none/port: there is no folder none"),
    ("folder", "folder is there already; remove it, or give another --port"),
    ("link", "link is there already; remove it, or give another --port"),
])
def test_board_looks_at_its_port_first(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nothing")  # no board left that one
    monkeypatch.setattr("sim.virtual_board.VirtualBoard", None)
    code, text = call("board", "--port", name)
    assert code == 1 and words in text
    assert (tmp_path / "link").is_symlink()


def test_board_leaves_the_link_of_one_that_was_faster(tmp_path, monkeypatch):
    """Of two that were started with one --port, the second to be ready gives way."""
    path = tmp_path / "port"

    def compile_slowly(*_, **__):
        path.symlink_to("/dev/null")  # a port that somebody else has
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr("sim.virtual_board.VirtualBoard", compile_slowly)
    monkeypatch.setattr("sim.virtual_board.PseudoTerminal",
                        lambda _: nullcontext(SimpleNamespace(path="/dev/pts/mine", alive=False)))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    code, text = call("board", "--port", path)
    assert code == 1 and "port is there already; remove it, or give another --port" in text
    assert str(path.readlink()) == "/dev/null"


def test_board_ends_with_its_terminal_and_takes_the_place_of_a_dead_one(port, tmp_path):
    path = tmp_path / "port"
    path.symlink_to("/dev/pts/there-is-none")
    process = start(path)
    try:
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and "ended after" in said.splitlines()[-1]
        assert not path.is_symlink()
    finally:
        process.kill()
        process.wait()


def test_board_says_which_link_is_another():
    said = {name: announcement(board_of(name), board_of(name).params, "/dev/pts/0")
            for name in ("upduino", "upduino-spi")}
    assert said["upduino"] == ("a virtual UPduino v3 of 4 x 4 products is at /dev/pts/0; Ctrl-C "
                               "ends it")
    assert said["upduino-spi"].endswith("\nit has a UART there, as all virtual boards do; the "
                                        "real one is reached over SPI")
