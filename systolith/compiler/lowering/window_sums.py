"""Sums of windows on a build without a unit for them: depthwise convolutions with weights of 1."""

from dataclasses import dataclass

import numpy as np

from rtl.im2col import ConvShape
from systolith.compiler.codegen.loop_nests import pixels_fetch
from systolith.compiler.codegen.program import Layer
from systolith.compiler.layout.region import Region
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.tiling.conv_layer import ConvLayer, Limits
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.region_layers import widened
from systolith.graph.attributes import Pair, pair_of
from systolith.graph.ir import Operator

__all__ = ["Windows", "sums"]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of ``size``, ``stride`` apart, that lie wholly within ``source``; results go to
    ``target``."""

    source: Region
    target: Region
    size: Pair
    stride: Pair


def sums(context: Context, operator: Operator, windows: Windows, *, limits: Limits, scale: Pair,
         bias: int = 0) -> list[Layer] | None:
    """Layers that sum ``windows``, or None if the build cannot.

    As many channels at a time as its line buffer can take.
    """
    machine, target = context.machine, windows.target
    counts = target.height, target.width
    height, width = ((count - 1) * step + cells for count, step, cells in zip(
        counts, windows.stride, windows.size, strict=True))
    source = windows.source.part(0, 0, height, width)
    # With a stride a FIR runs in phases; a single window has none.
    stride = pair_of(step if count > 1 else 1
                     for count, step in zip(counts, windows.stride, strict=True))

    def plan_of(region: Region) -> ConvPlan:
        count = region.channels
        layer = ConvLayer(
            shape=ConvShape(height=region.height, width=region.width, channels=count,
                            kernel=windows.size, stride=stride, groups=count),
            weights=np.ones((count, *windows.size, 1), np.int8), bias=np.full(count, bias),
            multiplier=np.full(count, scale[0]), shift=np.full(count, scale[1]),
            input_zero_point=0, **limits)
        return ConvPlan(machine, widened(layer, region), fold=False)

    for number in range(1, source.pixel_words + 1):
        size = -(-source.pixel_words // number) * source.word_bytes
        slices = range(0, source.channels, size)
        widths = [min(size, source.channels - first) for first in slices]
        parts = [(source.slice(*each), target.slice(*each))
                 for each in zip(slices, widths, strict=True)]
        try:
            plans = [plan_of(part) for part, _ in parts]
        except ValueError:
            continue
        return [plan_layer(machine, operator, plan,
                           pixels_fetch(part.transposed() if plan.transposed else part), result, 0)
                for plan, (part, result) in zip(plans, parts, strict=True)]
    return None
