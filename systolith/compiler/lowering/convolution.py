"""Convolutions and what runs as one: from a plan to a layer."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from rtl.accelerator.control.descriptor import Kind
from systolith.compiler.codegen.loop_nests import Fields, loops, pixels_fetch, store_loops
from systolith.compiler.codegen.program import Layer
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.region import Region
from systolith.compiler.lowering.context import Context
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.region_layers import packed_words
from systolith.graph.ir import Operator

__all__ = ["convolution", "plan_layer"]


def convolution(context: Context, operator: Operator) -> list[Layer]:
    """A convolution, depthwise or not, or a fully connected layer."""
    source, target = context.source(operator), context.target(operator)
    plans = context.plans.convolutions[operator.index]
    plan = plans[0]
    if operator.inputs[0] in context.plans.packed:
        words, lines = plan.shape.line_words(source.word_bytes), plan.shape.height
        base = context.regions[operator.inputs[0]].base + context.image * packed_words(plan)
        fetch = loops((words, 1), (lines, words), base=base)
    else:
        shape, stride = plan.layer.shape, getattr(operator.attributes, "stride", (1, 1))
        height, width = ((shape.width, shape.height) if plan.transposed
                         else (shape.height, shape.width))
        if shape.stride != (stride[::-1] if plan.transposed else stride):
            source = source.part(0, 0, height, width, stride)
        fetch = pixels_fetch(source.transposed() if plan.transposed else source)
    weights, y = context.graph.weights(operator), context.graph.result(operator)
    macs = context.count(operator) * math.prod(y.shape[1:]) * weights.numbers.size // y.shape[-1]
    targets = _targets(target, plans) if operator.record.writes_flat else [target]
    filters = [len(each.layer.weights) for each in plans]
    return [plan_layer(context.machine, operator, each, fetch, part, macs * count // sum(filters))
            for each, part, count in zip(plans, targets, filters, strict=True)]


def _targets(target: Region, plans: Sequence[ConvPlan]) -> list[Region]:
    """Where the results of each plan go: pixel by pixel, whatever lines they make up, and, of a
    layer that has more filters than a pixel has channels, pixels after each other."""
    filters = [len(plan.layer.weights) for plan in plans]
    pixels, shape = sum(filters) // target.filled, plans[0].shape
    step = target.pixel_step * max(pixels, 1)
    flat = replace(target, height=shape.out_height, width=shape.out_width, pixel_step=step,
                   line_step=shape.out_width * step)
    if pixels <= 1:
        return [flat.slice(first, count) if len(plans) > 1 else flat
                for first, count in zip(accumulate(filters, initial=0), filters, strict=False)]
    return [flat.at(first // target.filled * target.pixel_step)
            for first in accumulate(filters[:-1], initial=0)]


def plan_layer(machine: Machine, operator: Operator, plan: ConvPlan, fetch: Fields, target: Region,
               macs: int) -> Layer:
    """The layer of a ``plan`` whose words come by ``fetch`` and whose results go to ``target``.

    ``macs`` are the products that it asks for, whatever fills up words and tiles.
    """
    array, shape, layer = machine.array, plan.shape, plan.layer
    pixel, line = target.pixel_bytes, target.line_bytes
    x_step, y_step = (line, pixel) if plan.transposed else (pixel, line)
    filters = len(layer.weights) // shape.groups
    groups = array.cols // machine.drain_lanes
    astray = target.offset % machine.drain_lanes > 0
    if plan.fir:
        channels = [(groups, machine.drain_lanes * filters), (filters, 1),
                    (plan.groups, array.cols * filters)]
        store = {"limit": shape.channels, "fewer": 1,
                 "lane_step": filters if plan.scattered or astray else 0}
    else:
        channels = [(plan.tiles * groups, machine.drain_lanes), (1, 0), (shape.groups, filters)]
        store = {"limit": filters, "lane_step": int(plan.scattered or astray)}
    bands = plan.bands
    next_line = machine.pixel_lanes * y_step
    walk = store_loops(machine, (shape.out_width, x_step), (plan.band, next_line),
                       *channels, (len(bands), plan.band * next_line), lane_step=y_step,
                       base=target.byte)
    walk["tail"] = 1 - bands[-1]
    store["last_lane"] = (shape.out_height - 1) % machine.pixel_lanes
    return Layer(
        kind=Kind.CONV, operator=operator, plan=plan, macs=macs, repeats=len(bands),
        weights=plan.band_weights(), params=plan.band_params(),
        fields={"range": plan.config()["range"], "narrow": layer.short_acc(machine),
                "conv": plan.layer_config, "fetch": fetch, "store": {"walk": walk, **store}})
