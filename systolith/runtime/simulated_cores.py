"""Layers and matrix products on the compiled simulation of the cores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from rtl.conv2d import Conv2d
from rtl.gemm import Gemm
from sim.compiled import CompiledSim
from sim.golden.types import Int8
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling import mappings
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.gemm_plan import GemmPlan

__all__ = ["RunReport", "SimulatedConv2d", "SimulatedGemm"]


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What one run cost.

    ``cycles`` are those from the first input taken to the last output given, both included;
    ``utilisation`` is ``macs / (products * cycles)``.
    """

    macs: int
    products: int
    cycles: int
    band: int
    depth: int
    drain_lanes: int

    @property
    def floor(self) -> int:
        """Cycles that the products alone would take."""
        return -(-self.macs // self.products)

    @property
    def utilisation(self) -> float:
        return self.macs / (self.products * self.cycles)

    def __add__(self, other: Self) -> Self:
        """One run after the other on the same core."""
        return replace(self, macs=self.macs + other.macs, cycles=self.cycles + other.cycles)


def _report(plan: GemmPlan | ConvPlan, macs: int, cycles: int) -> RunReport:
    machine = plan.machine
    return RunReport(macs=macs, products=machine.products, cycles=cycles, band=plan.band,
                     depth=machine.depth, drain_lanes=machine.drain_lanes)


class SimulatedGemm:
    """``a @ b`` on the RTL of :class:`Gemm`: int32, or int8 if the core requantises."""

    def __init__(self, core: Gemm, *, trace: str | Path | None = None) -> None:
        if not isinstance(core, Gemm):
            raise TypeError(f"core must be a Gemm, not {core!r}")
        self.core, self.machine = core, Machine.of_core(core)
        self.sim = CompiledSim(core, trace=trace)

    def run(self, a: Int8, b: Int8, *, params: Mapping[str, np.ndarray] | None = None,
            output: Mapping[str, int] | None = None, band: int | None = None,
            stalls: tuple[int, float] = (0, 1.0)) -> tuple[np.ndarray, RunReport]:
        """Returns the product and a :class:`RunReport`.

        ``params`` (arrays of N: bias, multiplier, shift) and ``output`` (zero_point, low, high) are
        what the requantizer takes: both of them, or none if the core has no requantizer. ``band``
        is as of :class:`GemmPlan`; ``stalls`` is a seed, and the probability with which each side
        of each stream goes ahead in a cycle.
        """
        if {params is not None, output is not None} != {self.core.requantize > 0}:
            raise TypeError("params and output must be given if the core requantises, and only "
                            "then")
        plan = GemmPlan(self.machine, a, b, band)
        sim = self.sim
        sim.reset()
        sim.stall(*stalls)
        wanted = {"o": plan.beats}
        if params is not None and output is not None:
            sim.set("range", output)
            sim.push("params", plan.channel_params(params))
        sim.push("i", plan.vectors())
        sim.push("weights", plan.weights())
        sim.run(wanted)
        _, first, _ = sim.record("i")
        _, _, last = sim.record("o")
        beats = sim.pull("o")
        product = plan.gather(beats["data" if self.core.requantize else "acc"])
        dtype = np.int8 if self.core.requantize else np.int32
        return product.astype(dtype), _report(plan, plan.macs, last - first + 1)


class SimulatedConv2d:
    """Convolution layers on the RTL of :class:`Conv2d`."""

    def __init__(self, core: Conv2d, *, trace: str | Path | None = None) -> None:
        if not isinstance(core, Conv2d):
            raise TypeError(f"core must be a Conv2d, not {core!r}")
        self.core, self.machine = core, Machine.of_core(core)
        self.sim = CompiledSim(core, trace=trace)

    def run(self, layer: ConvLayer, images: Int8, *, band: int | None = None,
            mapping: mappings.Mapping | None = None,
            stalls: tuple[int, float] = (0, 1.0)) -> tuple[Int8, RunReport]:
        """Returns int8 output images (n, oh, ow, cout) and a :class:`RunReport`.

        ``band`` and ``mapping`` are as of :class:`ConvPlan`, ``stalls`` as of
        :class:`SimulatedGemm`. The cycles are those that the core's own counter has.
        """
        plan = ConvPlan(self.machine, layer, band, mapping=mapping)
        sim = self.sim
        sim.reset()
        sim.stall(*stalls)
        config = plan.config()
        words = plan.words(images)
        sim.push("config", {
            group: {name: np.array([value]) for name, value in fields.items()}
            for group, fields in config.items()})
        sim.push("i", words)
        sim.push("weights", plan.weights())
        sim.push("params", plan.channel_params())
        sim.run({"o": plan.beats, "i": len(words), "config": 1})
        out = plan.gather(sim.pull("o")["data"]).astype(np.int8)
        return out, _report(plan, layer.macs, sim.get("cycles"))
