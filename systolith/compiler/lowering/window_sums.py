"""Sums of windows on a build without a unit for them: depthwise convolutions with weights of 1."""

import numpy as np

from rtl.im2col import ConvShape
from systolith.compiler.codegen.loop_nests import pixels_fetch
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.region_layers import widened

__all__ = ["sums"]


def sums(context, operator, source, target, window, stride, *, limits, scale, bias=0):
    """Layers that sum windows of ``source``, all within the image, or None if the build cannot.

    As many channels at a time as its line buffer can take.
    """
    machine, counts = context.machine, (target.height, target.width)
    source = source.part(0, 0, *((count - 1) * step + cells for count, step, cells in zip(
        counts, stride, window, strict=True)))
    # With a stride a FIR runs in phases; a single window has none.
    stride = tuple(step if count > 1 else 1 for count, step in zip(counts, stride, strict=True))

    def plan_of(region):
        count = region.channels
        layer = ConvLayer(
            shape=ConvShape(height=region.height, width=region.width, channels=count, kernel=window,
                            stride=stride, groups=count),
            weights=np.ones((count, *window, 1), np.int8), bias=np.full(count, bias),
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
