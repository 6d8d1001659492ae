"""Images around others, and pixels of other channels: concatenation, padding, reshaping."""

import math
from dataclasses import replace

import numpy as np

from systolith.compiler.codegen.loop_nests import loops
from systolith.compiler.codegen.program import Layer
from systolith.compiler.layout.views import part_of
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.lowering.picking import copy_of, identity
from systolith.compiler.lowering.pooling import fill
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.region_layers import spread
from systolith.graph.ir import Operator
from systolith.graph.movement import fill_of

__all__ = ["concatenate", "pad", "reshape"]


def concatenate(context: Context, operator: Operator) -> list[Layer]:
    """Copies of the operands that were not written in their place to begin with."""
    joined = context.regions[operator.outputs[0]]
    layers: list[Layer] = []
    for number, tensor in enumerate(operator.activations):
        part = part_of(context.graph, operator, number, joined)
        assert part is not None, f"{operator} runs on the host"
        if part != context.regions[tensor]:
            layers += copy_of(context, operator, context.source(operator, number),
                              context.of_images(operator, part))
    return layers


def pad(context: Context, operator: Operator) -> list[Layer]:
    """A fill of the whole result, then a copy of the image into it; or, around an image that was
    written in its place, fills of what is before and after it."""
    graph, source, target = context.graph, context.source(operator), context.target(operator)
    value, part = fill_of(graph, operator), part_of(graph, operator, 0, target)
    assert part is not None, f"{operator} runs on the host"
    if part != source:
        sizes = (target.height, target.width, target.channels)
        filled = sizes == (source.height, source.width, source.channels)
        return [*([] if filled else fill(context, operator, target, source, value)),
                *copy_of(context, operator, source, part)]
    padding = ((0, 0),) * 2 + operator.attributes.padding[1:]
    *_, (top, bottom), (left, right), (before, after) = padding
    middle = target.part(top, 0, source.height, target.width)
    inner = middle.part(0, left, source.height, source.width)
    borders = [target.part(0, 0, top, target.width),
               target.part(target.height - bottom, 0, bottom, target.width),
               middle.part(0, 0, source.height, left),
               middle.part(0, target.width - right, source.height, right),
               inner.slice(0, before), inner.slice(target.channels - after, after)]
    return [layer for border in borders if border.height and border.width and border.channels
            for layer in fill(context, operator, border, source, value)]


def reshape(context: Context, operator: Operator) -> list[Layer]:
    """Pixels of other channels than before.

    A few pixels of before make up a few others: for each of those there is a convolution over the
    ones that it takes channels from, with weights of 1, which picks them.
    """
    machine = context.machine
    source, target = context.source(operator), context.target(operator)
    common = math.lcm(source.channels, target.channels)
    before, after = common // source.channels, common // target.channels
    groups, most = source.height * source.width // before, machine.im2col.max_lines
    layers = []
    for pixel in range(after):
        taken, channel = np.divmod(np.arange(target.channels) + pixel * target.channels,
                                   source.channels)
        span = taken[-1] - taken[0] + 1
        weights = np.zeros((target.channels, span * source.filled), np.int8)
        weights[np.arange(target.channels),
                (taken - taken[0]) * source.filled + channel] = 1
        for begin in range(0, groups, most):
            lines = min(most, groups - begin)
            layer = spread(weights, identity(context.graph, target.channels), lines)
            plan = ConvPlan(machine, layer, fold=False, transpose=False)
            fetch = loops(
                (source.pixel_words, 1), (span, source.pixel_step),
                (lines, before * source.pixel_step),
                base=source.base + (begin * before + taken[0]) * source.pixel_step)
            part = replace(target, height=lines, width=1, line_step=after * target.pixel_step,
                           base=target.base + (begin * after + pixel) * target.pixel_step)
            layers.append(replace(plan_layer(machine, operator, plan, fetch, part, 0),
                                  moved=lines * target.channels))
    return layers
