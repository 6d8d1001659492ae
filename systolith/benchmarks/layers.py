"""Typical layers on 8x8 cores, and what they cost."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from rtl.catalog import build_core
from rtl.im2col import ConvShape
from sim.compiled import CompiledSim
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.runtime.simulated_cores import RunReport, SimulatedConv2d, SimulatedGemm

__all__ = ["NAMES", "PEERS", "bench_layers"]

SAME = ((1, 1), (1, 1))
LAYERS = {
    "conv 3x3, 64 to 64, 32x32": (
        ConvShape(height=32, width=32, channels=64, kernel=(3, 3), padding=SAME), 64),
    "conv 3x3, 16 to 16, 32x32": (
        ConvShape(height=32, width=32, channels=16, kernel=(3, 3), padding=SAME), 16),
    "conv 3x3, 3 to 16, 32x32": (
        ConvShape(height=32, width=32, channels=3, kernel=(3, 3), padding=SAME), 16),
    "depthwise 3x3, 64, 25x5": (
        ConvShape(height=25, width=5, channels=64, kernel=(3, 3), padding=SAME, groups=64), 64),
}
GEMM = "gemm 256x256x256, int32"
NAMES = (*LAYERS, GEMM)

#: Products a cycle of other cores that place and route with open tools, as their sources have them.
PEERS = {"CFU-Playground hps_accel": 32, "axis-systolic-array 8x8": 64}


def layer_of(shape: ConvShape, filters: int, seed: int = 0) -> ConvLayer:
    """A layer with random constants whose results spread over the range of int8."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (filters, *shape.kernel, shape.channels // shape.groups),
                           np.int8)
    spread = 6000 * np.sqrt(weights[0].size)
    return ConvLayer(
        shape=shape, weights=weights, bias=rng.integers(-5000, 5000, filters).astype(np.int32),
        multiplier=rng.integers(1 << 30, 1 << 31, filters),
        shift=np.full(filters, max(int(np.log2(spread / 100)), 0)), input_zero_point=-3,
        zero_point=5)


def bench_layers(progress: Callable[[str], None] = lambda text: None
                 ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A dict for each of :data:`NAMES`, and one for the speed of each simulation."""
    rng = np.random.default_rng(0)
    results, speeds = [], []

    def note(name: str, report: RunReport) -> None:
        results.append({"layer": name, **asdict(report), "floor_cycles": report.floor,
                        "utilisation": report.utilisation,
                        "macs_per_cycle": report.macs / report.cycles})

    def speed(core: str, sim: CompiledSim) -> None:
        speeds.append({"core": core, "cycles_per_second": sim.cycle / sim.run_seconds,
                       "compile_seconds": sim.compile_seconds})

    progress("compiling Conv2d")
    conv2d = SimulatedConv2d(build_core("conv2d", drain_lanes=4, word_bytes=16))
    for name, (shape, filters) in LAYERS.items():
        progress(name)
        images = rng.integers(-128, 128, (1, shape.height, shape.width, shape.channels), np.int8)
        note(name, conv2d.run(layer_of(shape, filters), images)[1])
    speed("Conv2d 8x8", conv2d.sim)
    progress("compiling Gemm")
    gemm = SimulatedGemm(build_core("gemm"))
    progress(GEMM)
    a, b = rng.integers(-128, 128, (2, 256, 256), np.int8)
    note(GEMM, gemm.run(a, b)[1])
    speed("Gemm 8x8", gemm.sim)
    return results, speeds
