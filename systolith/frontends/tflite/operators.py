"""What an operator of a .tflite file may look like, kind by kind."""

import math
from dataclasses import replace

import numpy as np
import tflite

from sim.golden.operators import nearest
from sim.golden.requantize import quantize_multiplier
from systolith.frontends.tflite import layers
from systolith.frontends.tflite.node import (
    LARGEST,
    Refusal,
    check_bounds,
    check_factor,
    constant,
    window,
)

__all__ = ["CONVERTERS"]

#: Most elements of an axis that a softmax goes over: the sum of as many exponentials fits 32 bits.
MOST_CLASSES = 4095

#: Most operands of a concatenation, as the reference has it.
MOST_PARTS = 10

#: What there may be beside int8.
ENDS = ("convert the whole model to int8; only its inputs and outputs may be float32 or uint8, "
        "with a QUANTIZE or DEQUANTIZE next to them")


def _add(node):
    node.expect(tflite.AddOptions, 2)
    a, b = node.activation(0), node.activation(1)
    if a.shape != b.shape:
        raise Refusal(f"shapes {a.shape} and {b.shape} differ")
    y = node.result(a.shape)
    twice = 2 * max(a.scale, b.scale)
    if quantize_multiplier(twice / ((1 << 20) * y.scale))[1] > 0:
        raise Refusal(f"the output's scale {y.scale} is too small for those of the inputs")
    return {"activation": node.fused()}


def _same_numbers(x, y):
    """Refuse a ``y`` whose int8 numbers mean something else than those of ``x``."""
    if (x.scale, x.zero_point) != (y.scale, y.zero_point):
        raise Refusal(f"input and output differ in scale or zero point: {x.scale}, {x.zero_point} "
                      f"and {y.scale}, {y.zero_point}")


def _pool(node):
    node.expect(tflite.Pool2DOptions, 1)
    x = node.activation(0, 4)
    kernel = node.option("FilterHeight"), node.option("FilterWidth")
    outputs, geometry = window(node, x.shape[1:3], kernel)
    _same_numbers(x, node.result((x.shape[0], *outputs, x.shape[3])))
    return {"kernel": kernel, **geometry, "activation": node.fused()}


def _mean(node):
    node.expect(tflite.ReducerOptions, 2)
    x, axes = node.activation(0), constant(node.inputs[1], "axes", "int32").data.ravel()
    rank = len(x.shape)
    over = {int(axis) % rank for axis in axes if -rank <= axis < rank}
    rest = {axis for axis in range(1, rank - 1) if x.shape[axis] > 1}
    if (rank not in {3, 4} or not 0 < len(axes) == len(over)
            or not rest <= over <= {*range(1, rank - 1)}):
        raise Refusal(f"it goes over the axes {axes[:8].tolist()} of {x.shape}; only all lines and "
                      "pixels, [1, 2] of four axes or [1] of three, are possible")
    y = node.result(tuple(1 if axis in over else size for axis, size in enumerate(x.shape)
                          if axis not in over or node.option("KeepDims")))
    cells = math.prod(x.size)
    if cells * max(x.zero_point + 128, 127 - x.zero_point) >= 1 << 31:
        raise Refusal(f"the sums of {cells} pixels can exceed 32 bits")
    check_factor("the mean", x.scale / y.scale)
    return {}


def _concatenation(node):
    node.expect(tflite.ConcatenationOptions, 2, MOST_PARTS)
    parts = [node.activation(position) for position in range(len(node.inputs))]
    *rest, _ = shape = parts[0].shape
    axis = node.option("Axis")
    if not rest or axis not in {-1, len(rest)}:
        raise Refusal(f"it goes along axis {axis} of {shape}; only channels, the last of several "
                      "axes, are possible")
    if any(part.shape[:-1] != shape[:-1] for part in parts):
        raise Refusal(f"the shapes {', '.join(str(part.shape) for part in parts)} differ in more "
                      "than channels")
    y = node.result((*rest, sum(part.shape[-1] for part in parts)))
    for part in parts:
        _same_numbers(part, y)
    if (activation := node.fused()) != "NONE":
        raise Refusal(f"the fused activation {activation} is not possible here")
    return {}


def _reshape(node):
    node.expect(None, 1, 2)
    x, y = node.activation(0), node.result()
    if math.prod(x.shape) != math.prod(y.shape):
        raise Refusal(f"shapes {x.shape} and {y.shape} hold different numbers of elements")
    shapes = []  # may be given by the options, or by an operand, or by both
    if type(node.options) is tflite.ReshapeOptions and node.options.NewShapeLength():
        shapes.append(node.options.NewShapeAsNumpy())
    if len(node.inputs) == 2:
        shapes.append(constant(node.inputs[1], "sizes of the new shape", "int32").data.ravel())
    for shape in shapes:
        if shape.size != len(y.shape) or np.any((shape != y.shape) & (shape != -1)):
            raise Refusal(f"the output has the shape {y.shape}, but {shape[:8].tolist()} is asked "
                          "for")
    _same_numbers(x, y)
    return {}


def _squeeze(node):
    """Without axes of 1, some or all."""
    node.expect(None, 1)
    return _of_ones(node)


def _expand_dims(node):
    node.expect(None, 2)
    constant(node.inputs[1], "axis", "int32")
    return _of_ones(node)


def _of_ones(node):
    """A reshaping that has other axes of 1."""
    x, y = node.activation(0), node.result()
    if [size for size in x.shape if size > 1] != [size for size in y.shape if size > 1]:
        raise Refusal(f"shapes {x.shape} and {y.shape} differ in more than axes of 1")
    _same_numbers(x, y)
    return {}


def _resize(node):
    node.expect(tflite.ResizeNearestNeighborOptions, 2)
    x, sizes = node.activation(0, 4), constant(node.inputs[1], "sizes", "int32")
    if sizes.shape != (2,):
        raise Refusal(f"the sizes have the shape {sizes.shape} instead of (2,)")
    old, new = x.shape[1:3], tuple(sizes.data.tolist())
    _same_numbers(x, node.result((x.shape[0], *new, x.shape[3])))
    factor = tuple(n // m for m, n in zip(old, new, strict=True))
    centers = {"align_corners": bool(node.option("AlignCorners")),
               "half_pixel_centers": bool(node.option("HalfPixelCenters"))}
    for m, n, times in zip(old, new, factor, strict=True):
        if n % m or np.any(nearest(m, n, **centers) != np.arange(n) // times):
            named = [name for name, value in centers.items() if value]
            raise Refusal(f"from {old} to {new} with {' and '.join(named) or 'no option'} it does "
                          "more than to repeat each pixel")
    return {"factor": factor}


def _probabilities(y):
    """Refuse a ``y`` of other numbers than 0 to 255 parts of 256."""
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise Refusal(f"the output has the scale {y.scale} and the zero point {y.zero_point} "
                      "instead of 1/256 and -128")


def _softmax(node):
    node.expect(tflite.SoftmaxOptions, 1)
    x = node.activation(0)
    y = node.result(x.shape)
    if x.shape[-1] > MOST_CLASSES:
        raise Refusal(f"it goes over {x.shape[-1]} elements, more than {MOST_CLASSES}")
    beta = node.option("Beta")
    if not 1 < beta * x.scale * (1 << 26) < math.inf:
        raise Refusal(f"beta {beta} and the input's scale {x.scale} are out of range")
    _probabilities(y)
    return {"beta": beta}


def _logistic(node):
    _, y = _fixed_point(node)
    _probabilities(y)
    return {}


def _tanh(node):
    _, y = _fixed_point(node)
    if (y.scale, y.zero_point) != (1 / 128, 0):
        raise Refusal(f"the output has the scale {y.scale} and the zero point {y.zero_point} "
                      "instead of 1/128 and 0")
    return {}


def _fixed_point(node):
    """Input and result of a function that is computed with 4 integer bits."""
    node.expect(None, 1)
    x = node.activation(0)
    y = node.result(x.shape)
    if not 2.0 ** -27 <= x.scale < 1 << 34:
        raise Refusal(f"the input's scale {x.scale} is out of range")
    return x, y


def _hard_swish(node):
    node.expect(None, 1)
    x = node.activation(0)
    factor = x.scale / 128 / node.result(x.shape).scale
    if not 2.0 ** -31 <= factor < 1 or not 2.0 ** -31 < x.scale < 1 << 14:
        raise Refusal(f"what is large is rescaled by {128 * factor}, but only factors below 128 "
                      "are possible")
    return {}


def _relu(node):
    node.expect(None, 1)
    x = node.activation(0)
    check_factor("what is positive", x.scale / node.result(x.shape).scale)
    return {}


def _clamp(node):
    node.expect(None, 1)
    x = node.activation(0)
    _same_numbers(x, node.result(x.shape))
    check_bounds(node.kind, x.scale)
    return {}


def _quantize(node):
    """From int8 to int8; either may be an end of the model that is uint8."""
    node.expect(None, 1)
    x, y = node.inputs[0], node.outputs[0]
    if x is not None and {x.dtype, y.dtype} != {"int8"}:
        raise Refusal(f"from {x.dtype} to {y.dtype} it is not supported: {ENDS}")
    node = replace(node, inputs=(x and replace(x, unsigned=False),),
                   outputs=(replace(y, unsigned=False),))
    x = node.activation(0)
    check_factor("each number", x.scale / node.result(x.shape).scale)
    return {}


def _dequantize(node):
    raise Refusal(ENDS)


def _leaky_relu(node):
    node.expect(tflite.LeakyReluOptions, 1)
    x = node.activation(0)
    y, alpha = node.result(x.shape), node.option("Alpha")
    if not alpha >= 0:
        raise Refusal(f"alpha is {alpha}, but only factors from 0 on are possible")
    check_factor("what is positive", x.scale / y.scale)
    check_factor("what is negative", x.scale * alpha / y.scale)
    return {"alpha": alpha}


def _pad(node):
    node.expect(tflite.PadOptions, 2)
    x, pads = node.activation(0), constant(node.inputs[1], "paddings", "int32")
    if pads.shape != (len(x.shape), 2):
        raise Refusal(f"the paddings have the shape {pads.shape} instead of {(len(x.shape), 2)}")
    padding = tuple(map(tuple, pads.data.tolist()))
    if not all(0 <= value <= LARGEST for pair in padding for value in pair) or any(padding[0]):
        raise Refusal(f"the paddings {padding} are not between 0 and {LARGEST}, or pad the batch")
    _same_numbers(x, node.result(tuple(size + sum(pair) for size, pair in zip(x.shape, padding,
                                                                              strict=True))))
    return {"padding": padding}


#: From the name of each supported operator to the function that checks it and gives the attributes
#: of :class:`systolith.graph.ir.Operator`.
CONVERTERS = {
    "CONV_2D": layers.conv,
    "DEPTHWISE_CONV_2D": layers.depthwise,
    "TRANSPOSE_CONV": layers.transpose_conv,
    "FULLY_CONNECTED": layers.fully_connected,
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": _expand_dims,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SOFTMAX": _softmax,
    "LOGISTIC": _logistic,
    "TANH": _tanh,
    "HARD_SWISH": _hard_swish,
    "RELU": _relu,
    "RELU6": _clamp,
    "RELU_N1_TO_1": _clamp,
    "LEAKY_RELU": _leaky_relu,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "PAD": _pad,
}
