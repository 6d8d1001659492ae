# amaranth: UnusedElaboratable=no
"""Networks whose weights stream from SDRAM: on the board's pins, beside a chip that knows its data
sheet."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from boards.board import Board, board_of
from boards.gateware.top import Top
from rtl.accelerator import SdramAccelerator
from rtl.accelerator.registers import OFFSET_BITS, Register, Window
from rtl.board_core import BoardCore
from rtl.bus import BusAccelerator
from rtl.memory.sdram import CHIPS, chip_of
from sim.virtual_board import VirtualBoard
from systolith.compiler import compile_graph
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import shortages, small_build
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.device import Device
from systolith.runtime.link import Channel
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random import int8, residual
from tests.support.paths import MODELS

SMALL = small_build(4, 4, sdram_bits=16, weight_bytes=1 << 22)
#: Where a program could lie in flash: nothing does. So other tests have the same simulator.
BOOT = 0x20000


@functools.cache
def board():
    return VirtualBoard(SMALL, boot=BOOT)


def network():
    return read_tflite(model_bytes()), held_out().images[:1]


def check(device, graph, x, within=64):
    """Every byte, and the cycles of each layer: half a percent is what refreshes make of it."""
    program = compile_graph(graph, device.params)
    device.load(program)
    run, golden = device.run(x), run_graph(graph, x)
    for tensor in graph.outputs:
        np.testing.assert_array_equal(run.values[tensor], golden[tensor])
    model = CycleModel(Machine.of(device.params))
    for layer, expected, cycles in zip(
            program.layers, model.layers(program.layers), run.layer_cycles, strict=True):
        assert abs(expected.cycles - cycles) <= max(within, cycles // 50), layer.operator
    return run.cycles


def test_digits_from_sdram():
    graph, x = network()
    device = Device(SimulatedPipe(board()), seed=0)
    assert device.params == SMALL and not shortages(graph, SMALL)
    cycles = check(device, graph, x)
    # Given up in the midst of bursts, and begun anew: no word of then comes now.
    for count in (3, 7, 11):
        device.command(Register.GO, 0)
        device.channel.flush()
        board().run(40 * count)
        device.channel.hello(abort=True)
        assert check(device, graph, x) in range(cycles - 60, cycles + 60)


def test_tables_of_sums_come_from_sdram():
    """Right before the weights of the convolution in which the sums take place."""
    device, joined = Device(SimulatedPipe(board()), seed=5), 0
    for seed in range(8):
        rng = np.random.default_rng([31, seed])
        graph = residual(rng)
        joined += len(compile_graph(graph, SMALL).fused_into)
        check(device, graph, int8(rng, graph.tensors[graph.inputs[0]].shape), within=200)
    assert joined > 3


def test_the_far_end_of_the_weights():
    """What is written at its very end leaves the beginning as it is."""
    graph, x = network()
    device = Device(SimulatedPipe(board()), seed=1)
    device.load(compile_graph(graph, SMALL))
    last = SMALL.weight_bytes // 4 - 1
    device.post_write((Window.WEIGHTS << OFFSET_BITS) + last, np.array([0x12345678], "<u4"))
    check(device, graph, x)


def test_another_channel_finds_the_weights():
    """A hello resets the accelerator, but not what is in the chip."""
    graph, x = network()
    first = Device(SimulatedPipe(board()), seed=2)
    first.load(compile_graph(graph, SMALL))
    Channel(SimulatedPipe(board()), seed=3).hello()
    again = Device(SimulatedPipe(board()), seed=4)
    check(again, graph, x)
    assert again.uploads == 0
    board().reset()
    check(again, graph, x)
    assert (again.uploads, again.resets) == (1, 1)


@pytest.mark.heavy
@pytest.mark.parametrize("name, most", [("resnet8_cifar10", 208_000), ("kws_dscnn", 60_200)])
def test_shared_models_on_the_ulx3s_25f(name, most):
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    graph, x = read_tflite(path), np.load(MODELS / f"{name}.npz")["inputs"][:1]
    preset = board_of("ulx3s-25f")
    virtual = VirtualBoard(preset.params, chip=preset.sdram, mhz=preset.mhz)
    assert check(Device(SimulatedPipe(virtual), seed=0), graph, x) <= most


@pytest.mark.parametrize("name", ["ulx3s-12f", "ulx3s-25f", "colorlight-5a-75b", "icepi-zero"])
def test_presets_have_room(name):
    preset = board_of(name)
    assert preset.params.weight_bytes <= preset.sdram.bytes
    for model in ("resnet8_cifar10", "kws_dscnn"):
        path = MODELS / f"{model}_int8.tflite"
        if not path.exists():
            pytest.skip(f"{path.name} is not there")
        assert not shortages(read_tflite(path), preset.params)


def test_refusals():
    chip, other = chip_of(16), chip_of(32)
    for build, error in (
            (lambda: replace(SMALL, sdram_bits=8), "^sdram_bits must be one of 0, 16, 32, not 8$"),
            (lambda: small_build(4, 3, weight_bytes=1 << 22), "^weight_bytes must be at most 3145"),
            (lambda: small_build(8, 32, sdram_bits=16), "^rows of 32 weights are too long"),
            (lambda: small_build(4, 4, sdram_bits=16, single_memory=True),
             "^a single memory"),
            (lambda: BusAccelerator(SMALL), "^a bus has no pins for SDRAM"),
            (lambda: SdramAccelerator(small_build(4, 4)), "^params must say in sdram_bits"),
            (lambda: SdramAccelerator(SMALL, chip=other), "^the chip must have 16 bits"),
            (lambda: BoardCore(SMALL, chip=chip, mhz=200), "^mhz must be between 10 and 143"),
            (lambda: replace(board_of("ulx3s-25f"), sdram=None), "of which the board has 0$"),
            (lambda: replace(board_of("ulx3s-25f"), sdram=other), "of which the board has 32$"),
            (lambda: Top(board_of("ulx3s-25f"), board_of("ulx3s-25f").platform_class()(), mhz=30),
             "^ulx3s-25f: the clock must be at least 45 MHz for its SDRAM, not 30$")):
        with pytest.raises(ValueError, match=error):
            build()
    with pytest.raises(TypeError, match=r"^chip must be an SdramChip, not 3$"):
        SdramAccelerator(SMALL, chip=3)
    assert isinstance(board_of("ulx3s-25f"), Board) and CHIPS
