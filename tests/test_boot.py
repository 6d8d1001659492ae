# amaranth: UnusedElaboratable=no
"""A program that lies in the flash of a board, beside a flash that knows its data sheet."""

import random
import re

import numpy as np
import pytest

from boards.bitstream import prepare
from boards.board import board_of
from boards.builds import resized
from boards.flash import FlashError
from boards.flash import flash_image as flash_behind
from host.cli.flash import flash
from host.device import Device
from host.digits import held_out, model_bytes
from host.fitting import small_build
from host.golden_run import run_graph
from host.image import flash_image
from host.link.simulated import SimulatedPipe
from host.session import Session, session_program
from host.tflite import read_tflite
from rtl.accelerator.registers import Register
from rtl.boot import MAGIC, Boot
from rtl.boot.reader import IMAGE_CRC
from sim.bench import simulate
from sim.flash import FlashModel
from sim.virtual_board import VirtualBoard

OFFSET = 0x20000


def image(*words, crc=0):
    body = np.array(words, "<u4").tobytes()
    return body + (IMAGE_CRC(data_width=8).compute(body) ^ crc).to_bytes(4, "big")


def boot(content, *, mhz=12, stalls=0.0, offset=OFFSET):
    """Commands that a boot from a flash with that content gives."""
    rng, flash, commands = random.Random(f"{mhz}/{stalls}"), FlashModel(mhz), []
    flash.write(offset, content)
    dut = Boot(offset=offset, mhz=mhz)

    async def bench(ctx):
        while ctx.get(dut.busy):
            ctx.set(dut.commands.ready, rng.random() >= stalls)
            _, _, valid, ready, payload = await ctx.tick().sample(
                dut.commands.valid, dut.commands.ready, dut.commands.payload)
            if valid and ready:
                assert payload["write"]
                commands.append((payload["address"], payload["data"]))
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.flash.cs)

    simulate(dut, bench, background=[flash.attach(dut.flash)], watch=[dut.commands])
    return commands


TAG = (int(Register.TAG), 0x12345678)


@pytest.mark.parametrize("mhz, stalls, offset", [(12, 0.0, 0), (24, 0.9, OFFSET), (90, 0.98, 123)])
def test_writes_what_sections_say(mhz, stalls, offset):
    words = [MAGIC, TAG[1], 9, 0x200000, 2, 1, 2, 0x400005, 3, 0xffffffff, 0xdeadbeef, 0]
    assert boot(image(*words), mhz=mhz, stalls=stalls, offset=offset) == [
        (0x200000, 1), (0x200001, 2), (0x400005, 0xffffffff), (0x400006, 0xdeadbeef),
        (0x400007, 0), TAG]


@pytest.mark.parametrize("content, commands", [
    (b"", []),                                                  # erased
    (bytes(64), []),
    (image(MAGIC + 1, TAG[1], 3, 5, 1, 7), []),
    (image(MAGIC, TAG[1], 0), [TAG]),
    (image(MAGIC, TAG[1], 3, 5, 1, 7, crc=1), [(5, 7)]),        # no tag
    (image(MAGIC, TAG[1], 3, 5, 1, 7, crc=1 << 31), [(5, 7)]),
    (image(MAGIC, TAG[1], 3, 5, 9, 7), [(5, 7), TAG]),          # no more than there are
    (image(MAGIC, TAG[1], 1, 5), [TAG]),
], ids=["erased", "zeros", "no magic", "empty", "crc", "crc 31", "count", "address"])
def test_ends_whatever_there_is(content, commands):
    assert boot(content) == commands


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


def test_a_board_that_has_its_program():
    """The host finds it there; a reset loads it anew; a damaged one is not taken for whole."""
    graph, x = read_tflite(model_bytes()), held_out().pictures[:1]
    params = small_build(4, 4, sdram_bits=16, weight_bytes=1 << 22)
    (program, _), want = session_program(graph, params), run_graph(graph, x)[graph.outputs[0]]
    content = flash_image(program)
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1
    for lies, uploads in ((content, 0), (bytes(damaged), 1), (b"", 1)):
        board = VirtualBoard(params, boot=OFFSET, image=lies)
        device = Device(SimulatedPipe(board), seed=0)
        device.load(program)
        assert device.uploads == uploads
        np.testing.assert_array_equal(device.run(x).values[graph.outputs[0]], want)
    board = VirtualBoard(params, boot=OFFSET, image=content)
    device = Device(SimulatedPipe(board), seed=1)
    cycles = 32 * len(content)  # parameters, in words of several, come at the end
    for count in (0, *range(cycles - 6_000, cycles - 4_000, 500)):
        board.reset()
        board.run(count)
        device.channel.hello(abort=True)  # which clears what has come so far
        device.load(program)
        np.testing.assert_array_equal(device.run(x).values[graph.outputs[0]], want)
    np.testing.assert_array_equal(Session(graph, device).run(x), want)
    assert device.uploads == 0


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f"])
def test_boards_that_can(name):
    """Pins of the flash are there; the image goes behind the bitstream."""
    preset = board_of(name)
    params = preset.params if preset.params.unified else resized(preset, rows=2, cols=2, lanes=1)
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
    loader = type("Loader", (), {"run": staticmethod(lambda *given: asked.append(given[0]))})
    monkeypatch.setattr("boards.flash._loader", lambda: loader)
    bits = tmp_path / "top.bit"
    bits.write_bytes(bytes(1000))
    preset = board_of("ulx3s-25f")
    flash_behind(preset, tmp_path / "model.bin", bits)
    assert asked == [["--board", "ulx3s", "--write-flash", "--offset", str(0x200000), "--file-type",
                      "raw", str(tmp_path / "model.bin")]]
    bits.write_bytes(bytes(0x200001))
    with pytest.raises(FlashError, match="has 2097153 bytes, but the program is to begin after"):
        flash_behind(preset, tmp_path / "model.bin", bits)
    with pytest.raises(ValueError, match=r"^nothing is known of a flash on Colorlight"):
        prepare(board_of("colorlight-5a-75b"), standalone=True)


def test_flash_with_a_model(monkeypatch, tmp_path, capsys):
    """The command: a bitstream that loads it, and the image that it loads."""
    made, written = [], []
    bits = tmp_path / "top.bit"
    bits.write_bytes(b"bits")
    monkeypatch.setattr("boards.bitstream.build_bitstream", lambda board, **options: (
        made.append(options["standalone"]) or type("Done", (), {"file": str(bits)})))
    monkeypatch.setattr("boards.bitstream.check_timing", lambda done: None)
    monkeypatch.setattr("boards.flash.flash_board", lambda *given, **_: written.append(given[1]))
    monkeypatch.setattr("boards.flash.flash_image", lambda board, file, bitstream, **_:
                        written.append(file.read_bytes()))
    model = tmp_path / "digits.tflite"
    model.write_bytes(model_bytes())
    flash(board="ulx3s-25f", file=None, volatile=False, model=model)
    program, _ = session_program(read_tflite(model_bytes()), board_of("ulx3s-25f").params)
    assert made == [True] and written == [str(bits), flash_image(program)]
    for options, error in (({"volatile": True}, "leave out --volatile"),
                           ({"board": "ecpix5-45f"}, "nothing is known of a flash")):
        with pytest.raises(ValueError, match=error):
            flash(**{"board": "ulx3s-25f", "file": None, "volatile": False, "model": model}
                  | options)
