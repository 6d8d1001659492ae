"""Loading a board: what is asked of the loader, and what its complaints mean."""

import stat
import sys

import pytest
from typer.testing import CliRunner

from boards.board import board_of
from boards.flow import flash
from boards.flow.flash import (
    FlashError,
    find_board,
    flash_arguments,
    flash_board,
    flash_image,
)
from boards.flow.tools import Tool
from systolith.cli import app

ULX3S = board_of("ulx3s-45f")


@pytest.fixture
def bitstream(tmp_path):
    file = tmp_path / "top.bit"
    file.write_bytes(b"\xff\0Part\0\xff\xff\xff\xbd\xb3 \x7e\xaa\x99\x7e bits")  # for all boards
    return file


def loader(monkeypatch, tmp_path, text, status=1):
    """A loader that notes its arguments, says ``text`` and ends with ``status``."""
    script = tmp_path / "loader"
    script.write_text(f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'asked')!r}, 'w')"
                      f".write(' '.join(sys.argv[1:]))\nprint({text!r})\nsys.exit({status})\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(flash, "_loader", lambda: Tool("openFPGALoader", "", str(script)))
    return tmp_path / "asked"


@pytest.mark.parametrize("volatile, way", [(True, "--write-sram"), (False, "--write-flash")])
def test_asks_for_what_is_wanted(monkeypatch, tmp_path, bitstream, volatile, way):
    asked = loader(monkeypatch, tmp_path, "Done", 0)
    flash_board(ULX3S, bitstream, volatile=volatile)
    assert asked.read_text() == f"--board ulx3s {way} {bitstream}"


@pytest.mark.parametrize("name, arguments", [
    ("colorlight-5a-75b", "--board colorlight --cable ft232"),
    ("upduino", "--board ice40_generic --cable ft232"),  # in place of the board's own
    ("ulx3s-45f", "--board ulx3s --cable ft232"),
])
def test_takes_another_cable(monkeypatch, tmp_path, bitstream, name, arguments):
    asked = loader(monkeypatch, tmp_path, "Done", 0)
    CliRunner().invoke(app, ["flash", "--board", name, "--cable", "ft232", str(bitstream)],
                       catch_exceptions=False)
    assert asked.read_text() == f"{arguments} --write-flash {bitstream}"


def test_a_network_goes_over_the_same_cable(monkeypatch, tmp_path, bitstream):
    asked = loader(monkeypatch, tmp_path, "Done", 0)
    flash_image(board_of("icebreaker"), "model.bin", bitstream, cable="digilent")
    assert asked.read_text() == ("--board ice40_generic --cable digilent --write-flash --offset "
                                 "131072 --file-type raw model.bin")


def test_a_network_needs_a_flash_that_is_known(bitstream):
    with pytest.raises(ValueError, match=r"^nothing is known of a flash on OrangeCrab .* that a "
                                         r"program could be loaded from$"):
        flash_image(board_of("orangecrab-25f"), "model.bin", bitstream)


@pytest.mark.parametrize("name, cable, arguments", [
    ("ulx3s-45f", None, "--board ulx3s --detect"),
    ("icebreaker", None, "--board ice40_generic --detect"),
    ("colorlight-5a-75b", "ft232", "--board colorlight --cable ft232 --detect"),
])
def test_looks_for_a_board(monkeypatch, tmp_path, name, cable, arguments):
    asked = loader(monkeypatch, tmp_path, "idcode 0x41111043", 0)
    find_board(board_of(name), cable=cable)
    assert asked.read_text() == arguments


@pytest.mark.parametrize("text, meaning", [
    # What openFPGALoader 1.1.1 says with --detect where nothing is plugged in.
    ("unable to open ftdi device: -3 (device not found)\nError: Failed to claim cable", "no ULX3S"),
    ("unable to open ftdi device: -3 (device not found)\nJTAG init failed", "no ULX3S"),
    ("Open device 1209:5af0 Not found\nDFU init failed with: No DFU compatible device found",
     "no ULX3S"),
    ("error : nonsense not found", "openFPGALoader knows no cable nonsense"),
])
def test_says_that_there_is_no_board(monkeypatch, tmp_path, text, meaning):
    loader(monkeypatch, tmp_path, text)
    with pytest.raises(FlashError, match=f"^{meaning}"):
        find_board(ULX3S)


@pytest.mark.parametrize("text, meaning", [
    ("error : bluster not found", r"^openFPGALoader knows no cable bluster: `openFPGALoader "),
    ("unable to open ftdi device: -3 (device not found)", r"^no ULX3S .* is plugged in: check"),
    ("DFU init failed with: No DFU compatible device found", r"^no ULX3S .* is plugged in"),
    ("unable to open ftdi device: -4 (usb_open() failed)", r"^the ULX3S .* udev rules"),
    ("unable to open ftdi device: -4 (libusb_open() failed)", r"^the ULX3S .* udev rules"),
    ("unable to open ftdi device: -8 (inappropriate permissions on device!)",
     r"^the ULX3S .* udev rules"),
    ("unable to open ftdi device: -5 (unable to claim usb device. Make sure",
     r"^another program holds the ULX3S"),
    ("openFPGALoader: error while loading shared libraries: libftdi1.so.2: cannot open",
     r"^openFPGALoader lacks libftdi1: apt install libftdi1-2 "),
    ("something else", r"(?s)^openFPGALoader failed:\nsomething else$"),
])
def test_says_what_to_do(monkeypatch, tmp_path, bitstream, text, meaning):
    loader(monkeypatch, tmp_path, text)
    with pytest.raises(FlashError, match=meaning):
        flash_board(ULX3S, bitstream)


def test_hangs_no_longer_than_it_may(monkeypatch, tmp_path, bitstream):
    script = tmp_path / "loader"
    script.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(flash, "_loader", lambda: Tool("openFPGALoader", "", str(script)))
    with pytest.raises(FlashError, match=r"^openFPGALoader was not done after 0.5 s$"):
        flash_board(ULX3S, bitstream, timeout=0.5)


def test_refuses_no_bitstream(tmp_path):
    with pytest.raises(FlashError, match=r"is not a bitstream: build it first$"):
        flash_board(ULX3S, tmp_path / "nothing.bit")


@pytest.mark.parametrize("name, content", [
    ("ulx3s-45f", b"\xff\0\0\xff\x7e\xaa\x99\x7eQ"), ("icebreaker", b"\xff\xff\xff\xbd\xb3"),
    ("icebreaker", b"import sys"), ("icebreaker", b"\xff" * 5000 + b"\x7e\xaa\x99\x7e"),
])
def test_refuses_what_the_board_cannot_load(monkeypatch, tmp_path, name, content):
    asked, file = loader(monkeypatch, tmp_path, "Done", 0), tmp_path / "wrong"
    file.write_bytes(content)
    with pytest.raises(FlashError, match=r"wrong is not a bitstream for .*, and would "
                       rf"overwrite what it has: `systolith build --board {name}` makes one$"):
        flash_board(board_of(name), file)
    assert not asked.exists()


def test_a_network_does_not_overwrite_the_bitstream(monkeypatch, tmp_path):
    asked = loader(monkeypatch, tmp_path, "Done", 0)
    board, file = board_of("icebreaker"), tmp_path / "top.bin"
    file.write_bytes(bytes(board.image_at + 1))
    with pytest.raises(FlashError, match=r"has 131073 bytes, but the program is to begin after "
                                         r"131072 of them$"):
        flash_image(board, "model.bin", file)
    assert not asked.exists()
    file.write_bytes(bytes(board.image_at))
    flash_image(board, "model.bin", file)
    assert asked.exists()


def test_refuses_a_way_that_the_board_has_not(bitstream):
    with pytest.raises(ValueError, match=r"cannot be loaded alone, only its flash"):
        flash_arguments(board_of("orangecrab-25f"), bitstream, volatile=True)
