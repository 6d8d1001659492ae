# amaranth: UnusedElaboratable=no
"""The cycle model against the counters of the simulated RTL, layer by layer."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from host.accelerated import SimulatedAccelerator
from host.compiler import compile_graph
from host.digits import held_out, model_bytes
from host.fitting import small_build
from host.tflite import read_tflite
from sim.cycles import CycleModel

MODELS = Path(__file__).parent.joinpath("..", "..", "shared", "models")

BUILDS = {
    "8x8": small_build(8, 8),
    "4x4": small_build(4, 4),
    "2 of 4x4": small_build(4, 4, pixel_lanes=2),
    "3 of 5x3": small_build(5, 3, pixel_lanes=3),
    "2 of 12x16": small_build(12, 16, pixel_lanes=2),
    # As on an iCE40: serial requantisation, no output registers.
    "4x4 serial": replace(small_build(4, 4), requantize=3, lanes=1, output_register=False,
                          depth=256, buffer_bytes=8192),
}


@functools.cache
def simulated(build):
    return SimulatedAccelerator(BUILDS[build])


def check(build, graph, x):
    accelerator = simulated(build)
    program, model = compile_graph(graph, BUILDS[build]), CycleModel(BUILDS[build])
    accelerator.load(program)
    run = accelerator.run(x)
    for layer, expected, cycles in zip(program.layers, model.layers(program.layers),
                                       run.layer_cycles, strict=True):
        assert abs(expected.cycles - cycles) <= max(8, cycles // 50), layer.operator
        parts = [getattr(expected, name) for name in ("start", "array", "weights", "input",
                                                      "drain")]
        assert sum(parts) == expected.cycles and min(parts) >= 0
    total = model.run(program.layers)
    assert abs(total - run.cycles) <= max(8, run.cycles // 100)


@pytest.mark.parametrize("build", BUILDS)
def test_digits(build):
    check(build, read_tflite(model_bytes()), held_out().pictures[:1])


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", ["resnet8_cifar10", "kws_dscnn"])
def test_shared_models(build, name):
    path = MODELS / f"{name}_int8.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    check(build, read_tflite(path), np.load(MODELS / f"{name}.npz")["inputs"][:1])
