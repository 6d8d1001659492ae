# amaranth: UnusedElaboratable=no
"""The cycle model against the counters of the simulated RTL, layer by layer."""

from dataclasses import replace

import numpy as np
import pytest

from boards.board import board_of
from boards.builds import lfe5u_45_build, lfe5u_85_build, up5k_build
from systolith.compiler import Segment, compile_graph
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import shortages, small_build
from systolith.frontends.tflite import read_tflite
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random import autoencoder, int8, network
from tests.support.paths import MODELS

#: Its SDRAM's times are cycles of its clock.
ULX3S = board_of("ulx3s-25f")

BUILDS = {
    "8x8": small_build(8, 8),
    "4x4": small_build(4, 4),
    "4x4, both roundings": small_build(4, 4, rounding="both"),
    "2 of 4x4": small_build(4, 4, pixel_lanes=2),
    "3 of 5x3": small_build(5, 3, pixel_lanes=3),
    "2 of 12x16": small_build(12, 16, pixel_lanes=2),
    # As on an iCE40: serial requantisation, no output registers.
    "4x4 serial": replace(small_build(4, 4), requantize=3, drain_lanes=1, output_register=False,
                          depth=256, buffer_bytes=2048),
    "UltraPlus": up5k_build(),
    "SDRAM": ULX3S.params,
    "45F": lfe5u_45_build(),
    "85F": lfe5u_85_build(),
    "85F, 10 rows": lfe5u_85_build(rows=10),
}

#: From go to done, of shared models by build: what changes these makes networks faster or slower.
#: With SDRAM they depend on when it is refreshed, which is the same each time.
CYCLES = {
    "resnet8_cifar10": {"8x8": 199_427, "4x4": 785_338, "4x4 serial": 800_880,
                        "2 of 12x16": 38_227, "UltraPlus": 910_329, "SDRAM": 207_909,
                        "45F": 140_318, "85F": 52_896, "85F, 10 rows": 45_091},
    "kws_dscnn": {"8x8": 54_201, "4x4": 180_028, "4x4 serial": 221_438, "2 of 12x16": 15_932,
                  "UltraPlus": 246_882, "SDRAM": 60_107, "45F": 48_382, "85F": 17_762,
                  "85F, 10 rows": 16_794},
}


def check(build, graph, x, within=8):
    accelerator = SimulatedAccelerator(BUILDS[build], chip=ULX3S.sdram, mhz=ULX3S.mhz)
    program, model = compile_graph(graph, BUILDS[build]), CycleModel(Machine.of(BUILDS[build]))
    if build == "SDRAM":  # opens rows and is refreshed in short layers more or less than on average
        within = 40
    accelerator.load(program)
    run = accelerator.run(x)
    layers = [program.layers[step.first:step.first + step.layers] for step in program.steps
              if isinstance(step, Segment)]
    for layer, expected, cycles in zip(
            program.layers, [each for segment in layers for each in model.layers(segment)],
            run.layer_cycles, strict=True):
        assert abs(expected.cycles - cycles) <= max(within, cycles // 50), layer.operator
        parts = [getattr(expected, name) for name in ("start", "array", "weights", "input",
                                                      "drain")]
        assert sum(parts) == expected.cycles and min(parts) >= 0
    total = sum(map(model.run, layers))
    assert abs(total - run.cycles) <= max(within, run.cycles // 50)
    return run.cycles


@pytest.mark.parametrize("build", BUILDS)
def test_digits(build):
    check(build, read_tflite(model_bytes()), held_out().images[:1])


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", ["resnet8_cifar10", "kws_dscnn"])
def test_shared_models(build, name):
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    cycles = check(build, read_tflite(path), np.load(MODELS / f"{name}.npz")["inputs"][:1])
    assert build not in CYCLES[name] or cycles == CYCLES[name][build]


def test_dense_layers_that_share_a_memory():
    """Whose weights, parameters and words keep each other waiting, many of one or few of each."""
    rng = np.random.default_rng(1)
    graph = autoencoder(rng, [32, 4, 64, 10, 16, 64, 12, 128, 40, 8, 100, 7, 48, 20, 256, 4, 24])
    check("UltraPlus", graph, int8(rng, graph.tensors[graph.inputs[0]].shape))


@pytest.mark.parametrize("build", ["8x8", "4x4"])
def test_random_networks(build):
    """Of small and odd layers; where channels are stored one by one, the pipeline halts in ways
    that the model leaves out."""
    count = 0
    for seed in range(12):
        rng = np.random.default_rng([11, seed])
        graph = network(rng)
        if not shortages(graph, BUILDS[build]):
            check(build, graph, int8(rng, graph.tensors[graph.inputs[0]].shape), within=24)
            count += 1
    assert count >= 8
