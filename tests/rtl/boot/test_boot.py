# amaranth: UnusedElaboratable=no
"""A program that lies in the flash of a board, beside a flash that knows its data sheet."""

import random
import re
from types import SimpleNamespace

import numpy as np
import pytest

from boards.board import board_of
from boards.builds import resized
from boards.flow.bitstream import prepare
from boards.flow.flash import FlashError, flash_image
from rtl.accelerator.control.fingerprint import fingerprint
from rtl.accelerator.registers import Error, Register, Window
from rtl.boot import Boot
from sim.flash import FlashModel
from sim.streams import simulate
from sim.virtual_board import VirtualBoard
from systolith.cli.flash import flash
from systolith.compiler.choice import session_program
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.device import Device
from systolith.runtime.flash_image import program_image
from systolith.runtime.link import BoardReset
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.runtime.session import Session
from systolith.zoo.digits import held_out, model_bytes

OFFSET = 0x20000


def boot(content, *, mhz=12, stalls=0.0, offset=OFFSET):
    """Bytes that a boot from a flash with that content gives, and cycles after the last of them."""
    rng, flash, given = random.Random(f"{mhz}/{stalls}"), FlashModel(mhz), []
    flash.write(offset, content)
    dut = Boot(offset=offset, mhz=mhz)
    waited = 0

    async def bench(ctx):
        nonlocal waited
        while ctx.get(dut.busy):
            ctx.set(dut.o.ready, rng.random() >= stalls)
            leaves = ctx.get(dut.leaves)
            _, _, valid, ready, payload = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload)
            waited += 1
            if valid and ready:
                given.append(payload)
                waited = 0
            assert leaves != ctx.get(dut.busy)
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.flash.cs) and not ctx.get(dut.leaves)

    simulate(dut, bench, background=[flash.attach(dut.flash)], watch=[dut.o])
    assert mhz * 40 <= waited <= mhz * 40 + 2
    return bytes(given)


@pytest.mark.parametrize("mhz, stalls, offset", [
    (12, 0.0, 0), (24, 0.9, OFFSET), (90, 0.98, 0x30201)])
def test_gives_what_lies_there(mhz, stalls, offset):
    frames = bytes([3, 255, 1, 0, 2, 0x80, 0]) + bytes(range(1, 60)) + b"\0"
    assert boot(frames + b"\0more", mhz=mhz, stalls=stalls, offset=offset) == frames + b"\0"


@pytest.mark.parametrize("content, given", [
    (b"", b"\xff" * 256), (b"\0", b"\0" + b"\xff" * 256), (bytes(64), b"\0\0"),
    (b"a" * 255 + b"\0\0", b"a" * 255 + b"\0\0"), (b"a" * 300, b"a" * 256),
    (b"a\0" + b"b" * 300, b"a\0" + b"b" * 256),
], ids=["erased", "a delimiter", "zeros", "layer_timeout", "longer", "longer later"])
def test_ends_whatever_there_is(content, given):
    assert boot(content) == given


def test_a_flash_has_rules():
    for script, error in (
            ([(1, 1, 0)], "selected while the clock is high"),
            ([(1, 0, 0), *[(1, 1, 0), (1, 0, 0)] * 8], "while it sleeps"),
            ([(1, 0, 0), *[(1, bit, level) for level in (1, 0, 1, 0, 1, 0, 1, 1) for bit in (1, 0)],
              (0, 0, 0), (1, 0, 0), *[(1, 1, 0), (1, 0, 0)] * 8], "within tRES1")):
        flash = FlashModel(12)
        for levels in script:
            flash.clock(*levels)
        assert error in flash.error
    fast = FlashModel(200)
    for levels in ((1, 0, 0), (1, 1, 0), (1, 0, 0)):
        fast.clock(*levels)
    assert "50 MHz" in fast.error


def test_a_board_that_has_its_program(monkeypatch):
    """The host finds it there; a reset loads it anew; a damaged one is not taken for whole."""
    graph, x = read_tflite(model_bytes()), held_out().images[:1]
    params = small_build(4, 4, sdram_bits=16, weight_bytes=1 << 22)
    (program, _), want = session_program(graph, params), run_graph(graph, x)[graph.outputs[0]]
    content = program_image(program)
    assert content[-2:] == b"\0\0" and b"\0\0" not in content[:-1]
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1
    short = content[:-20]  # the frame of the tag is not whole
    for lies, uploads in ((content, 0), (bytes(damaged), 1), (short, 1), (b"", 1)):
        board = VirtualBoard(params, boot=OFFSET, image=lies)
        device = Device(SimulatedPipe(board), seed=0)
        device.load(program)
        assert device.uploads == uploads
        np.testing.assert_array_equal(device.run(x).values[graph.outputs[0]], want)
    own = fingerprint(params)
    monkeypatch.setattr("systolith.runtime.driver.fingerprint", lambda params: own ^ 1)
    foreign = VirtualBoard(params, boot=OFFSET, image=program_image(program))
    monkeypatch.undo()
    device = Device(SimulatedPipe(foreign), seed=0)
    assert device.attempt(program.areas[Window.PROGRAM]) == Error.FOREIGN
    assert device.read(Register.TAG) == 0
    board = VirtualBoard(params, boot=OFFSET, image=content)
    device = Device(SimulatedPipe(board), seed=1)
    for count in (0, 100_000):
        board.reset()
        board.run(count)
        device.channel.hello()  # which nobody hears until it is over
        device.load(program)
        np.testing.assert_array_equal(device.run(x).values[graph.outputs[0]], want)
    board.reset()
    with pytest.raises(BoardReset):
        device.channel.ping()  # a conversation does not outlive a reset
    np.testing.assert_array_equal(Session(graph, device).run(x), want)
    assert device.uploads == 0


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f"])
def test_boards_that_can(name):
    """Pins of the flash are there; the image goes behind the bitstream."""
    preset = board_of(name)
    params = preset.params if preset.params.single_memory else resized(
        preset, rows=2, cols=2, drain_lanes=1)
    design = prepare(preset, params=params, standalone=True)
    constraints, = design.constraints.values()
    assert "flash" in constraints
    streams = name == "ulx3s-25f"
    assert ("USRMCLK" in design.rtlil) == streams
    # What goes to the SDRAM, and comes from it, has registers in the pads; as has whether it goes.
    cells = {cell: len(re.findall(rf"cell \\{cell} ", design.rtlil))
             for cell in ("ODDRX1F", "IFS1P3DX", "OFS1P3DX")}
    assert cells == ({"ODDRX1F": 1, "IFS1P3DX": 16, "OFS1P3DX": 2 * (16 + 22) + 1} if streams else
                     dict.fromkeys(cells, 0))


def test_the_image_goes_behind_the_bitstream(monkeypatch, tmp_path):
    asked = []
    loader = type("DescriptorLoader", (), {
                  "run": staticmethod(lambda *given: asked.append(given[0]))})
    monkeypatch.setattr("boards.flow.flash._loader", lambda: loader)
    bits = tmp_path / "top.bit"
    bits.write_bytes(bytes(1000))
    preset = board_of("ulx3s-25f")
    flash_image(preset, tmp_path / "model.bin", bits)
    assert asked == [["--board", "ulx3s", "--write-flash", "--offset", str(0x200000), "--file-type",
                      "raw", str(tmp_path / "model.bin")]]
    bits.write_bytes(bytes(0x200001))
    with pytest.raises(FlashError, match="has 2097153 bytes, but the program is to begin after"):
        flash_image(preset, tmp_path / "model.bin", bits)
    with pytest.raises(ValueError, match=r"^nothing is known of a flash on Colorlight"):
        prepare(board_of("colorlight-5a-75b"), standalone=True)


def test_flash_with_a_model(monkeypatch, tmp_path, capsys):
    """The command: a bitstream that loads it, and the image that it loads."""
    made, written = [], []
    bits = tmp_path / "top.bit"
    bits.write_bytes(b"bits")
    monkeypatch.setattr("boards.flow.bitstream.build_bitstream", lambda board, **options: (
        made.append(options["standalone"]) or SimpleNamespace(
            file=str(bits), seconds={"place and route": 60})))
    monkeypatch.setattr("boards.flow.bitstream.check_timing", lambda done: None)
    monkeypatch.setattr("boards.flow.flash.find_board", lambda *_, **__: None)
    monkeypatch.setattr("boards.flow.flash.flash_board",
                        lambda *given, **_: written.append(given[1]))
    monkeypatch.setattr("boards.flow.flash.flash_image", lambda board, file, bitstream, **_:
                        written.append(file.read_bytes()))
    model = tmp_path / "digits.tflite"
    model.write_bytes(model_bytes())
    flash(board="ulx3s-25f", file=None, volatile=False, model=model)
    program, _ = session_program(read_tflite(model_bytes()), board_of("ulx3s-25f").params,
                                 compact=True)
    assert made == [True] and written == [str(bits), program_image(program)]
    for options, error in (({"volatile": True}, "leave out --volatile"),
                           ({"board": "ecpix5-45f"}, "nothing is known of a flash")):
        with pytest.raises(ValueError, match=error):
            flash(**{"board": "ulx3s-25f", "file": None, "volatile": False, "model": model}
                  | options)
