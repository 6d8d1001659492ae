"""Convolutions and what runs as one: from the operator to a plan, and from that to a layer."""

import math
from dataclasses import replace

import numpy as np

from rtl.accelerator.control.descriptor import Kind
from rtl.im2col import ConvShape
from rtl.im2col.params import MAX_CHANNELS, MAX_KERNEL
from systolith.compiler.codegen.loop_nests import loops, pixels_fetch, store_loops
from systolith.compiler.codegen.program import Layer
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.compiler.tiling.conv_layers import conv_layer, layer_constants
from systolith.compiler.tiling.conv_plan import ConvPlan

__all__ = ["conv_plan", "convolution", "dense_words", "plan_layer", "spread",
           "widened"]


def conv_plan(machine, graph, operator, region, target, *, dense=False, compact=False, images=1):
    """The :class:`ConvPlan` of a convolution from ``region`` to ``target``.

    The input's channels are those of ``region``, with weights of 0 for those that only fill up a
    word; unless it is ``dense``, in the order in which the unit takes it, which repeats no line if
    it is ``compact``. ``images`` that follow each other are taken for one.
    """
    try:
        if operator.kind == "FULLY_CONNECTED":
            layer = _connected(graph, operator, region, target)
        else:
            layer = conv_layer(graph, operator, 1)
            if not dense:
                layer = _thin(widened(layer, region))
        shape = replace(layer.shape, height=layer.shape.height * images)
        return ConvPlan(machine, replace(layer, shape=shape), fold=dense and not compact,
                        transpose=operator.kind != "FULLY_CONNECTED")
    except ValueError as error:
        raise ValueError(f"operator {operator.index} ({operator.kind}): {error}") from error


def _connected(graph, operator, region, target):
    """A fully connected layer as one window that covers an image, or as a 1x1 convolution.

    If its results are channels of several pixels, it has filters for all bytes of them.
    """
    weights = graph.operand(operator, 1).data
    fill, constants = region.filled - region.channels, layer_constants(graph, operator)
    if len(weights) > target.channels:
        weights = _filled(weights, target)
        constants |= {name: _filled(constants[name], target)
                      for name in ("bias", "multiplier", "shift")}
    if weights.shape[1] == region.height * region.width * region.channels:
        pixels = weights.reshape(len(weights), -1, region.channels)
        pixels = np.pad(pixels, ((0, 0), (0, 0), (0, fill)))
        return spread(pixels.reshape(len(weights), -1), constants)
    if weights.shape[1] == region.channels:
        shape = ConvShape(height=region.height, width=region.width, channels=region.channels)
        return widened(ConvLayer(shape=shape, weights=weights[:, None, None], **constants), region)
    raise ValueError(f"it takes {weights.shape[1]} numbers at a time of an image of "
                     f"{region.height}x{region.width}x{region.channels}; all of them, or the "
                     "channels "
                     "of a pixel, are possible")


def _filled(filters, target):
    """What there is for each of the ``filters``, and zeros for what fills up words of pixels."""
    pixels = filters.reshape(-1, target.channels, *filters.shape[1:])
    fill = ((0, 0), (0, target.filled - target.channels), *((0, 0),) * (filters.ndim - 1))
    return np.pad(pixels, fill).reshape(-1, *filters.shape[1:])


def dense_words(plan):
    """Words of what a ``plan`` takes, in the order of the unit."""
    return plan.shape.height * plan.shape.line_words(plan.machine.im2col.word_bytes)


def spread(weights, constants, lines=1):
    """A layer with ``weights`` (cout, taps) over ``lines`` lines, each of them a window."""
    taps = weights.shape[1]
    width = next((n for n in range(1, MAX_KERNEL + 1)
                  if taps % n == 0 and taps // n <= MAX_CHANNELS), None)
    if width is None:
        raise ValueError(f"windows of {taps} bytes are not of 1 to {MAX_KERNEL} equal parts of "
                         f"{MAX_CHANNELS} at the most")
    shape = ConvShape(height=lines, width=width, channels=taps // width, kernel=(1, width))
    return ConvLayer(shape=shape, weights=weights.reshape(len(weights), 1, width, -1), **constants)


def widened(layer, region):
    """``layer`` over the words of ``region``."""
    more = region.filled - region.channels
    if layer.shape.groups > 1:
        return replace(layer, shape=replace(layer.shape, fill=more))
    return replace(layer, shape=replace(layer.shape, channels=region.filled), weights=np.pad(
        layer.weights, ((0, 0), (0, 0), (0, 0), (0, more))))


def _thin(layer):
    """A kernel of one pixel over the pixels that it reads: the others are not fetched."""
    shape = layer.shape
    if shape.groups > 1 or shape.kernel != (1, 1) or shape.padding != ((0, 0), (0, 0)):
        return layer
    return replace(layer, shape=replace(shape, height=shape.out_height, width=shape.out_width,
                                        stride=(1, 1)))


def convolution(context, operator):
    """A convolution, depthwise or not, or a fully connected layer."""
    source, target = context.source(operator), context.target(operator)
    plan = context.plans[operator.index]
    if operator.inputs[0] in context.dense:
        words, lines = plan.shape.line_words(source.word_bytes), plan.shape.height
        base = context.regions[operator.inputs[0]].base + context.image * dense_words(plan)
        fetch = loops((words, 1), (lines, words), base=base)
    else:
        shape, stride = plan.layer.shape, operator.attributes.get("stride", (1, 1))
        height, width = (
    shape.width, shape.height) if plan.transposed else (
        shape.height, shape.width)
        if shape.stride != (stride[::-1] if plan.transposed else stride):
            source = source.part(0, 0, height, width, stride)
        fetch = pixels_fetch(source.transposed() if plan.transposed else source)
    weights, y = context.graph.operand(operator, 1), context.graph.result(operator)
    if operator.kind == "FULLY_CONNECTED":  # pixel by pixel, whatever lines they make up
        shape = plan.shape
        step = target.pixel_step * max(len(plan.layer.weights) // target.filled, 1)
        target = replace(target, height=shape.out_height, width=shape.out_width, pixel_step=step,
                         line_step=shape.out_width * step)
    macs = context.count(operator) * math.prod(y.shape[1:]) * weights.data.size // y.shape[-1]
    return [plan_layer(context.machine, operator, plan, fetch, target, macs)]


def plan_layer(machine, operator, plan, fetch, target, macs):
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
        store = {
            "loops": [(groups, machine.drain_lanes * filters), (filters, 1),
                      (plan.groups, array.cols * filters)],
            "limit": shape.channels, "fewer": 1,
            "lane_step": filters if plan.scattered or astray else 0}
    else:
        store = {
            "loops": [(plan.tiles * groups, machine.drain_lanes), (1, 0), (shape.groups, filters)],
            "limit": filters,
            "lane_step": int(plan.scattered or astray)}
    bands = plan.bands
    next_line = machine.pixel_lanes * y_step
    walk = store_loops(machine, (shape.out_width, x_step), (plan.band, next_line),
                       *store.pop("loops"), (len(bands), plan.band * next_line),
                       lane_step=y_step, base=target.byte)
    walk["tail"] = 1 - bands[-1]
    store["last_lane"] = (shape.out_height - 1) % machine.pixel_lanes
    return Layer(
        kind=Kind.CONV, operator=operator, plan=plan, macs=macs, repeats=len(bands),
        weights=plan.band_weights(), params=plan.band_params(),
        fields={"range": plan.config()["range"], "narrow": layer.short_acc(machine),
                "conv": plan.layer_config, "fetch": fetch, "store": {"walk": walk, **store}})
