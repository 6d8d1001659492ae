"""Bytes that change their pixel: concatenation and reshaping."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from systolith.compiler.codegen.loop_nests import loops
from systolith.compiler.codegen.program import Layer
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import plan_layer
from systolith.compiler.lowering.pooling import copies
from systolith.compiler.tiling.conv_layers import requantisation
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.region_layers import spread
from systolith.graph.ir import Graph, Operator

__all__ = ["concatenate", "reshape"]


def concatenate(context: Context, operator: Operator) -> list[Layer]:
    """Copies of the operands that were not written in their place to begin with."""
    target, first = context.target(operator), 0
    layers: list[Layer] = []
    for position in range(len(operator.activations)):
        source = context.source(operator, position)
        part = target.slice(first, source.channels)
        if part != source:
            layers += copies(context, operator, source, part)
        first += source.channels
    return layers


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
            layer = spread(weights, _identity(context.graph, target.channels), lines)
            plan = ConvPlan(machine, layer, fold=False, transpose=False)
            fetch = loops(
                (source.pixel_words, 1), (span, source.pixel_step),
                (lines, before * source.pixel_step),
                base=source.base + (begin * before + taken[0]) * source.pixel_step)
            part = replace(target, height=lines, width=1, line_step=after * target.pixel_step,
                           base=target.base + (begin * after + pixel) * target.pixel_step)
            layers.append(plan_layer(machine, operator, plan, fetch, part, 0))
    return layers


def _identity(graph: Graph, channels: int) -> dict[str, Any]:
    """Constants of a layer whose sums are its results."""
    zeros = np.zeros(channels, np.int64)
    multiplier, shift = requantisation(graph, 1.0)
    return {"bias": zeros, "multiplier": zeros + multiplier, "shift": zeros + shift,
            "input_zero_point": 0, "zero_point": 0}
