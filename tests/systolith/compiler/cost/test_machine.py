# amaranth: UnusedElaboratable=no
"""What the compiler knows of a build: what its units state, and no unit is made to know it."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from amaranth.lib import wiring

from boards.board import board_of
from boards.builds import lfe5u_85_build, up5k_build
from rtl.accelerator.build_units import Units
from rtl.conv2d import Conv2d
from rtl.gemm import Gemm
from rtl.params import ArrayParams
from systolith.compiler import compile_graph
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import fit, small_build
from systolith.frontends.tflite import read_tflite
from systolith.zoo.digits import model_bytes
from systolith.zoo.random import network

BUILDS = {
    "8x8": small_build(8, 8),
    "2 of 4x4": small_build(4, 4, pixel_lanes=2),
    "serial": replace(small_build(4, 4), requantize=3, drain_lanes=1, output_register=False),
    "float32": replace(small_build(4, 4), rounding="float32"),
    "both": replace(small_build(5, 3), rounding="both"),
    "UltraPlus": up5k_build(),
    "SDRAM": board_of("ulx3s-25f").params,
    "85F": lfe5u_85_build(),
}
CORES = [
    dict(array=ArrayParams(rows=1, cols=1)),
    dict(array=ArrayParams(rows=3, cols=4, fir_rows=2), drain_lanes=2, requantize=4),
    dict(array=ArrayParams(rows=2, cols=16), depth=33, output_register=True, rounding="both"),
    dict(array=ArrayParams(rows=8, cols=8, products=(("dsp2", 32), ("lut", None))), pixel_lanes=2,
         output_register=True, requantize=0),
]


def refuse(*args, **options):
    raise AssertionError("a component was made")


@pytest.mark.parametrize("build", [name for name in BUILDS if name != "float32"])
@pytest.mark.parametrize("graph", ["digits", "random"])
def test_no_component_is_made_to_compile(build, graph, monkeypatch):
    params = BUILDS[build]
    graph = read_tflite(model_bytes()) if graph == "digits" else network(
        np.random.default_rng([11, 3]))
    monkeypatch.setattr(wiring.Component, "__init__", refuse)
    program = compile_graph(graph, fit(graph, params))
    assert CycleModel(Machine.of(program.params)).run(program.layers) > 0
    with pytest.raises(AssertionError, match="^a component was made$"):
        Gemm(params.array)


@pytest.mark.parametrize("build", BUILDS)
def test_states_what_the_units_of_an_accelerator_state(build):
    params = BUILDS[build]
    machine, units = Machine.of(params), Units(params)
    assert (machine.array, machine.depth) == (units.gemm.array, units.gemm.depth)
    assert (machine.drain_lanes, machine.pixel_lanes) == (
        units.gemm.drain_lanes, units.gemm.pixel_lanes)
    assert machine.drain_latency == units.gemm.drain_latency
    assert machine.accumulator_lead == units.gemm.accumulators.lead
    assert machine.im2col_latency == units.im2col.latency
    assert machine.requantizer_latency == units.requantizer.latency
    assert machine.short_acc_range == units.requantizer.short_acc_range
    assert machine.products == params.products
    # Weights may come slower than the array could take them, but never faster.
    assert machine.mean_min_tile >= machine.min_tile >= units.gemm.min_tile


@pytest.mark.parametrize("options", CORES)
def test_states_what_a_core_states(options):
    gemm, conv2d = Gemm(**options), Conv2d(**options)
    machine = Machine.of_core(conv2d)
    assert machine == Machine.of_core(gemm)
    assert machine.im2col == conv2d.im2col_params
    assert machine.min_tile == machine.mean_min_tile == gemm.min_tile
    assert machine.drain_latency == gemm.drain_latency == 2 + machine.beat_latency
    assert machine.accumulator_lead == gemm.accumulators.lead
    latency = gemm.requantizer.latency if gemm.requantize else 0
    assert machine.requantizer_latency == latency


def test_memories_make_weights_slower():
    chip, sdram, single = (Machine.of(BUILDS[name]) for name in ("8x8", "SDRAM", "UltraPlus"))
    assert chip.weight_row_cycles == chip.weight_row_interval == 1
    assert sdram.weight_row_cycles == board_of("ulx3s-25f").params.word_cycles * 44 / 43
    assert sdram.mean_min_tile == -(-sdram.array.rows * sdram.weight_row_cycles // 1)
    assert single.min_tile == 2 * single.array.rows + 1
    assert (single.param_cycles, single.param_stall) == ((9, 7), 6)


def test_generates_addresses_whoever_does_it_in_the_build():
    """Plans are made of all fields of a layer, also where other units have some of them."""
    params = BUILDS["UltraPlus"]
    assert params.shared_agu and not Machine.of(params).im2col.shared_agu
    assert "tiles" in dict(Machine.of(params).im2col.config)


def test_is_frozen():
    machine = Machine.of(BUILDS["8x8"])
    with pytest.raises(FrozenInstanceError):
        machine.depth = 1
    assert machine == Machine.of(BUILDS["8x8"]) != Machine.of(BUILDS["85F"])
    assert len({machine, Machine.of(BUILDS["8x8"])}) == 1


def test_refuses():
    with pytest.raises(TypeError, match=r"^params must be AcceleratorParams, not 7$"):
        Machine.of(7)
    with pytest.raises(TypeError, match=r"^core must be a Gemm or a Conv2d, not 7$"):
        Machine.of_core(7)
    with pytest.raises(TypeError, match=r"^machine must be a Machine, not 7$"):
        CycleModel(7)
    with pytest.raises(ValueError, match=r"^machine must be that of an accelerator, not of a core "
                                         r"alone: make it by Machine.of$"):
        CycleModel(Machine.of_core(Gemm(ArrayParams(rows=3, cols=4))))
