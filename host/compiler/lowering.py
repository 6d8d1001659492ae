"""From one operator to the layers that compute it, given where its tensors lie."""

from dataclasses import replace

import numpy as np

from host.compiler.program import Layer
from host.layers import conv_layer
from host.tiling import ConvPlan
from rtl.accelerator.add import TABLE, entry_rows
from rtl.accelerator.descriptor import Kind
from rtl.accelerator.params import COUNT_BITS
from rtl.im2col.params import MAX_CHANNELS
from sim.golden.operators import rescaled
from sim.golden.requantize import channel_params

__all__ = ["LOWER", "conv_plan"]

NO_LIMIT = (1 << COUNT_BITS) - 1
FULL_RANGE = {"zero_point": 0, "low": -128, "high": 127}


def loops(*pairs, base):
    """Nested loops over addresses: (iterations, step) of each, the innermost first."""
    return {"base": base, "loops": [{"count": count - 1, "step": step} for count, step in pairs]}


def conv_plan(core, graph, operator, place, dense=False):
    """The :class:`ConvPlan` of a convolution whose input lies at ``place``.

    The input's channels are those of ``place``, with weights of 0 for those that only fill up a
    word; unless it is ``dense``, in the order in which the unit takes it.
    """
    layer = conv_layer(graph, operator, 1)
    if operator.kind == "FULLY_CONNECTED":
        layer = _spread(layer, place)
    elif not dense and place.filled != place.channels:
        layer = _widen(operator, layer, place, core.array.fir_rows)
    return ConvPlan(core, layer)


def _spread(layer, place):
    """A fully connected layer as one window that covers a line of pixels."""
    weights = layer.weights.reshape(len(layer.weights), place.height * place.width, place.channels)
    weights = np.pad(weights, ((0, 0), (0, 0), (0, place.filled - place.channels)))
    taps = weights[0].size
    width = next(n for n in range(1, taps + 1) if taps % n == 0 and taps // n <= MAX_CHANNELS)
    shape = replace(layer.shape, height=1, width=width, channels=taps // width, kernel=(1, width))
    return replace(layer, shape=shape, weights=weights.reshape(len(weights), 1, width, -1))


def _widen(operator, layer, place, fir_rows):
    more = place.filled - place.channels
    if layer.depthwise and (fir_rows or len(layer.weights) == layer.shape.groups):
        shape = replace(layer.shape, channels=place.filled, groups=place.filled)
        more *= len(layer.weights) // layer.shape.groups
        wide = {name: np.pad(getattr(layer, name), (0, more))
                for name in ("bias", "multiplier", "shift")}
        return replace(layer, shape=shape, **wide,
                       weights=np.pad(layer.weights, ((0, more), (0, 0), (0, 0), (0, 0))))
    if layer.shape.groups > 1:
        raise ValueError(f"operator {operator.index} ({operator.kind}): {place.channels} input "
                         f"channels in {layer.shape.groups} groups are not a multiple of the "
                         f"{place.word_bytes} bytes of a word")
    return replace(layer, shape=replace(layer.shape, channels=place.filled), weights=np.pad(
        layer.weights, ((0, 0), (0, 0), (0, 0), (0, more))))


def convolution(context, operator):
    """A convolution, depthwise or not, or a fully connected layer."""
    source, target = context.source(operator), context.target(operator)
    plan, core = context.plans[operator.index], context.core
    array, shape, layer = core.array, plan.shape, plan.layer
    pixel, line = target.filled, target.line_words * target.word_bytes
    x_step, y_step = (line, pixel) if plan.turned else (pixel, line)
    filters = len(layer.weights) // layer.shape.groups
    groups = array.cols // core.lanes
    if plan.fir:
        store = {
            "loops": [(groups, core.lanes * filters), (filters, 1),
                      (plan.groups, array.cols * filters)],
            "limit": source.channels, "outer_channels": array.cols,
            "lane_step": filters if filters > 1 else 0}
    else:
        store = {
            "loops": [(plan.tiles * groups, core.lanes), (1, 0), (shape.groups, filters)],
            "limit": filters, "outer_channels": 0,
            "lane_step": 1 if shape.groups > 1 and filters % core.lanes else 0}
    bands = plan.bands
    walk = loops((shape.out_width, x_step), (plan.band, y_step), *store.pop("loops"),
                 (len(bands), plan.band * y_step), base=target.base * target.word_bytes)
    walk["tail"] = bands[-1] - 1
    repeats = len(bands)
    once = {name: values.reshape(repeats, -1)[0] for name, values in plan.channel_params().items()}
    return [Layer(
        kind=Kind.CONV, operator=operator, plan=plan, macs=layer_macs(context, operator),
        repeats=repeats,
        weights=plan.weights().reshape(repeats, -1, array.cols)[0], params=once,
        fields={"range": plan.config()["range"], "conv": plan.layer_config,
                "fetch": _conv_fetch(plan, source, operator.inputs[0] in context.dense),
                "store": {"walk": walk, **store}})]


def layer_macs(context, operator):
    """Products that the operator asks for, whatever fills up words and tiles."""
    weights, y = context.graph.operand(operator, 1), context.graph.result(operator)
    outputs = int(np.prod(y.shape[1:]))
    return outputs * weights.data.size // y.shape[-1]


def _conv_fetch(plan, source, dense):
    if dense:
        words = plan.shape.line_words(source.word_bytes)
        return loops((words, 1), (plan.shape.height, words), base=source.base)
    if plan.turned:
        return loops((source.pixel_words, 1), (source.height, source.line_words),
                     (source.width, source.pixel_words), base=source.base)
    return loops((source.line_words, 1), (source.height, source.line_words), base=source.base)


def _pooled(operator, context, window, *, fetch_base, store_base, stride, outputs, maximum, limits):
    """A layer of windows that lie wholly within the picture."""
    source, target, lanes = context.source(operator), context.target(operator), context.core.lanes
    cells = window[0] * window[1]
    if cells > 1024:
        raise ValueError(f"operator {operator.index} ({operator.kind}): a window of {cells} cells "
                         "is more than 1024")
    multiplier = 1 << 31 if maximum else round((1 << 29) / cells)
    pixel, line = target.filled, target.line_words * target.word_bytes
    walk = loops((target.filled // lanes, lanes), (outputs[1], pixel), (outputs[0], line),
                 base=store_base * target.word_bytes)
    walk["tail"] = outputs[1] - 1
    return Layer(
        kind=Kind.POOL, operator=operator, weights=np.zeros((0, context.core.array.cols), np.int8),
        params={"bias": np.zeros(lanes, int), "multiplier": np.full(lanes, multiplier),
                "shift": np.zeros(lanes, int)},
        fields={"maximum": int(maximum), "range": limits,
                "fetch": loops((window[1], source.pixel_words), (window[0], source.line_words),
                               (source.pixel_words, 1), (outputs[1],
                                                         stride[1] * source.pixel_words),
                               (outputs[0], stride[0] * source.line_words), base=fetch_base),
                "store": {"walk": walk, "limit": NO_LIMIT}})


def _spans(size, kernel, stride, padding, outputs):
    """Outputs along an axis in runs that see as many cells: (first, count, first cell, cells)."""
    runs = []
    for index in range(outputs):
        begin = index * stride - padding
        low, high = max(begin, 0), min(begin + kernel, size)
        whole = high - low == kernel
        if whole and runs and runs[-1][3] == kernel:
            runs[-1][1] += 1
        else:
            runs.append([index, 1, low, high - low])
    return runs


def pool(context, operator):
    """Means or maxima. Windows that the border cuts are layers of their own."""
    graph, attributes = context.graph, operator.attributes
    source, target = context.source(operator), context.target(operator)
    low, high = graph.clamp(operator)
    rows, cols = (_spans(size, kernel, stride, padding[0], outputs) for size, kernel, stride,
                  padding, outputs in zip((source.height, source.width), attributes["kernel"],
                                          attributes["stride"], attributes["padding"],
                                          (target.height, target.width), strict=True))
    return [_pooled(operator, context, (tall, wide), stride=attributes["stride"],
                    outputs=(lines, pixels), maximum=operator.kind == "MAX_POOL_2D",
                    fetch_base=source.base + top * source.line_words + left * source.pixel_words,
                    store_base=target.base + y * target.line_words + x * target.pixel_words,
                    limits={"zero_point": 0, "low": low, "high": high})
            for y, lines, top, tall in rows for x, pixels, left, wide in cols]


def pad(context, operator):
    """A fill of the whole result, then a copy of the picture into it."""
    source, target = context.source(operator), context.target(operator)
    zero = context.graph.result(operator).zero_point
    (_, _), (top, _), (left, _), (before, after) = operator.attributes["padding"]
    if before or after:
        raise ValueError(f"operator {operator.index} (PAD): channels cannot be padded")
    common = {"operator": operator, "context": context, "window": (1, 1), "maximum": True}
    fill = _pooled(**common, fetch_base=source.base, store_base=target.base, stride=(0, 0),
                   outputs=(target.height, target.width),
                   limits={"zero_point": 0, "low": zero, "high": zero})
    copy = _pooled(**common, fetch_base=source.base, stride=(1, 1), limits=FULL_RANGE,
                   store_base=target.base + top * target.line_words + left * target.pixel_words,
                   outputs=(source.height, source.width))
    return [fill, copy]


def add(context, operator):
    """The sum of two tensors of one shape; the one of the larger scale is the first operand."""
    graph, lanes = context.graph, context.core.lanes
    operands = sorted(range(2), key=lambda n: -graph.operand(operator, n).scale)
    a, b = (graph.operand(operator, n) for n in operands)
    first, second = (context.source(operator, n) for n in operands)
    y, target = graph.result(operator), context.target(operator)
    twice = 2 * a.scale
    numbers = np.arange(TABLE).astype(np.uint8).view(np.int8).astype(np.int64)
    table = rescaled((numbers - b.zero_point) << 20, b.scale / twice).astype("<i4")
    cols = context.core.array.cols
    rows = np.zeros((TABLE, entry_rows(cols) * cols), np.int8)
    rows[:, :4] = table.view(np.int8).reshape(TABLE, 4)
    multiplier, shift = channel_params(twice / ((1 << 20) * y.scale))
    low, high = graph.clamp(operator)
    line = target.line_words * target.word_bytes
    walk = loops((line // lanes, lanes), (target.height, line), base=target.base
                 * target.word_bytes)
    walk["tail"] = target.height - 1
    return [Layer(
        kind=Kind.ADD, operator=operator, weights=rows.reshape(-1, cols),
        params={"bias": np.full(lanes, -a.zero_point << 19),
                "multiplier": np.full(lanes, multiplier), "shift": np.full(lanes, shift)},
        fields={"range": {"zero_point": y.zero_point, "low": low, "high": high},
                "fetch": loops((2, second.base - first.base), (first.line_words, 1),
                               (first.height, first.line_words), base=first.base),
                "store": {"walk": walk, "limit": NO_LIMIT}})]


#: What computes each operator on the accelerator; the rest is left to the host.
LOWER = {"CONV_2D": convolution, "DEPTHWISE_CONV_2D": convolution,
         "FULLY_CONNECTED": convolution, "ADD": add, "AVERAGE_POOL_2D": pool,
         "MAX_POOL_2D": pool, "PAD": pad}
