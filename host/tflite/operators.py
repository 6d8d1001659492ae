"""What an operator of a .tflite file may look like, kind by kind."""

import math
from dataclasses import dataclass

import numpy as np
import tflite

from host.graph import Tensor, rescale
from sim.golden.conv import output_size, same_padding
from sim.golden.operators import BOUNDS
from sim.golden.requantize import channel_params, quantize_multiplier

__all__ = ["CHECKS", "Node", "Refusal"]

ACTIVATIONS = {code: name for name, code in vars(tflite.ActivationFunctionType).items()
               if isinstance(code, int)}

#: Largest kernel, stride and dilation that is taken for one; geometry past it is damage.
LARGEST = 1 << 12

#: Most elements of a picture with its padding.
MOST_PADDED = 1 << 26

#: Most elements of an axis that a softmax goes over: the sum of as many exponentials fits 32 bits.
MOST_CLASSES = 4095


class Refusal(Exception):
    """Why an operator is not supported."""


@dataclass(frozen=True)
class Node:
    """An operator before it is checked: its tensors, :data:`None` where left out, and options."""

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: object

    def option(self, name):
        return getattr(self.options, name)()

    def expect(self, options, inputs, most=None):
        """Refuse unless there is a table of ``options``, one result and enough operands."""
        if type(self.options) is not options:
            raise Refusal(f"its options are not {options.__name__}")
        if not inputs <= len(self.inputs) <= (most or inputs) or len(self.outputs) != 1:
            raise Refusal(f"it has {len(self.inputs)} inputs and {len(self.outputs)} outputs")

    def activation(self, position, rank=None):
        """Input ``position``, checked to be a quantised activation."""
        return _activation(self.inputs[position], f"input {position}", rank)

    def result(self, shape):
        """The result, checked to be a quantised activation of ``shape``."""
        y = _activation(self.outputs[0], "the output", None)
        if y.shape != shape:
            raise Refusal(f"the output ({y.name}) has the shape {y.shape}, but {shape} is what "
                          "the inputs give")
        return y

    def fused(self):
        """Name of the fused activation, whose bounds the output's scale can express."""
        name = ACTIVATIONS.get(self.option("FusedActivationFunction"), "unknown")
        if name not in BOUNDS:
            raise Refusal(f"the fused activation {name} is not one of {', '.join(BOUNDS)}")
        scale = self.outputs[0].scale
        if any(bound is not None and abs(bound) / scale >= (1 << 31) - 256
               for bound in BOUNDS[name]):
            raise Refusal(f"the output's scale {scale} is too small for {name}")
        return name


def _activation(tensor, role, rank):
    if tensor is None:
        raise Refusal(f"{role} is left out")
    role = f"{role} ({tensor.name})"
    if tensor.dtype != "int8":
        raise Refusal(f"{role} is {tensor.dtype}, not int8: quantise the whole model to int8")
    if tensor.data is not None:
        raise Refusal(f"{role} is a constant")
    if len(tensor.scales) != 1:
        raise Refusal(f"{role} has {len(tensor.scales)} scales instead of 1")
    _positive(tensor.scales, role)
    if not -128 <= tensor.zero_point <= 127:
        raise Refusal(f"{role} has the zero point {tensor.zero_point}, which is not an int8")
    if not tensor.shape:
        raise Refusal(f"{role} is a scalar")
    if rank is not None and len(tensor.shape) != rank:
        raise Refusal(f"{role} has the shape {tensor.shape} instead of {rank} axes")
    return tensor


def _positive(scales, role):
    for scale in scales:
        if not 0 < scale < math.inf:
            raise Refusal(f"{role} has the scale {scale}, which is not positive and finite")


def _constant(tensor, role, dtype):
    if tensor is None or tensor.data is None:
        raise Refusal(f"the {role} are not a constant")
    if tensor.dtype != dtype:
        raise Refusal(f"the {role} ({tensor.name}) are {tensor.dtype}, not {dtype}")
    return tensor


def _weights(node, rank, axis):
    """The weights, checked to be symmetric with one scale, or one for each index of ``axis``."""
    weights = _constant(node.inputs[1], "weights", "int8")
    if len(weights.shape) != rank:
        raise Refusal(f"the weights have the shape {weights.shape} instead of {rank} axes")
    if weights.zero_point != 0:
        raise Refusal("the weights have zero points other than 0")
    channels = weights.shape[axis]
    if len(weights.scales) not in {1, channels} or (
            len(weights.scales) > 1 and weights.axis != axis):
        raise Refusal(f"the weights have {len(weights.scales)} scales along axis {weights.axis} "
                      f"instead of 1 or {channels} along axis {axis}")
    _positive(weights.scales, "a channel of the weights")
    return weights


def _check_channels(node, x, weights, axis, y):
    """Refuse what the requantisation or 32 bits of accumulator cannot hold."""
    channels = weights.shape[axis]
    magnitudes = np.abs(np.moveaxis(weights.data, axis, 0).astype(np.int64))
    reach = magnitudes.reshape(channels, -1).sum(axis=1) * max(x.zero_point + 128,
                                                               127 - x.zero_point)
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        bias = _constant(node.inputs[2], "biases", "int32")
        if bias.shape != (channels,):
            raise Refusal(f"the biases have the shape {bias.shape} instead of {(channels,)}")
        if bias.zero_point != 0:
            raise Refusal(f"the biases have the zero point {bias.zero_point} instead of 0")
        reach = reach + np.abs(bias.data.astype(np.int64))
    if reach.max() >= 1 << 31:
        raise Refusal(f"the sums of channel {reach.argmax()} can exceed 32 bits")
    for channel, scale in enumerate(rescale(node.kind, x, weights, y).tolist()):
        try:
            channel_params(scale)
        except (ValueError, OverflowError) as error:
            raise Refusal(f"channel {channel} is rescaled by {scale}, but only factors below 8 are "
                          "possible") from error


def _window(node, size, kernel, dilation=(1, 1)):
    """Output size, stride and padding of a window over ``size`` (h, w)."""
    stride = node.option("StrideH"), node.option("StrideW")
    for name, pair in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if not all(1 <= value <= LARGEST for value in pair):
            raise Refusal(f"the {name} {pair} is not between 1 and {LARGEST}")
    match node.option("Padding"):
        case tflite.Padding.SAME:
            padding = tuple(map(same_padding, size, kernel, stride, dilation))
        case tflite.Padding.VALID:
            padding = ((0, 0), (0, 0))
        case code:
            raise Refusal(f"the padding {code} is neither SAME nor VALID")
    if math.prod(n + sum(pair) for n, pair in zip(size, padding, strict=True)) > MOST_PADDED:
        raise Refusal(f"the kernel {kernel} with dilation {dilation} asks for the padding "
                      f"{padding}, which is too much")
    outputs = tuple(map(output_size, size, kernel, stride, dilation, padding))
    if min(outputs) < 1:
        raise Refusal(f"the kernel {kernel} with dilation {dilation} is larger than {size}")
    return outputs, {"stride": stride, "padding": padding}


def _convolve(node, options, axis):
    node.expect(options, 2, 3)
    x, weights = node.activation(0, 4), _weights(node, 4, axis)
    dilation = node.option("DilationHFactor"), node.option("DilationWFactor")
    outputs, geometry = _window(node, x.shape[1:3], weights.shape[1:3], dilation)
    y = node.result((x.shape[0], *outputs, weights.shape[axis]))
    _check_channels(node, x, weights, axis, y)
    return x, weights, {"dilation": dilation, **geometry, "activation": node.fused()}


def _conv(node):
    x, weights, attributes = _convolve(node, tflite.Conv2DOptions, 0)
    groups, rest = divmod(x.shape[3], weights.shape[3])
    if rest or weights.shape[0] % groups:
        raise Refusal(f"{x.shape[3]} input channels and filters of shape {weights.shape} make no "
                      "groups")
    return attributes


def _depthwise(node):
    x, weights, attributes = _convolve(node, tflite.DepthwiseConv2DOptions, 3)
    multiplier = node.option("DepthMultiplier")
    if weights.shape[0] != 1 or weights.shape[3] != x.shape[3] * multiplier:
        raise Refusal(f"{x.shape[3]} input channels with multiplier {multiplier} do not give the "
                      f"weights' shape {weights.shape}")
    return attributes


def _fully_connected(node):
    node.expect(tflite.FullyConnectedOptions, 2, 3)
    x, weights = node.activation(0), _weights(node, 2, 0)
    if node.option("WeightsFormat") != 0:
        raise Refusal("the weights are in a shuffled format")
    cout, cin = weights.shape
    rows, rest = divmod(math.prod(x.shape), cin)
    y = _activation(node.outputs[0], "the output", None)
    if rest or math.prod(y.shape) != rows * cout or y.shape[-1:] != (cout,):
        raise Refusal(f"shapes {x.shape}, {weights.shape} and {y.shape} do not fit each other")
    _check_channels(node, x, weights, 0, y)
    _check_bias_scale(node, x, weights, y)
    return {"activation": node.fused()}


def _check_bias_scale(node, x, weights, y):
    """Refuse biases in other units than those of the sums, as TensorFlow Lite Micro does here."""
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and len(weights.scales) == 1:
        scale, product = bias.scales[0] if bias.scales else 0.0, x.scale * weights.scale
        if abs(product - scale) > 0.02 * y.scale:
            raise Refusal(f"the biases have the scale {scale} instead of that of the sums, "
                          f"{product}")


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
    outputs, geometry = _window(node, x.shape[1:3], kernel)
    _same_numbers(x, node.result((x.shape[0], *outputs, x.shape[3])))
    return {"kernel": kernel, **geometry, "activation": node.fused()}


def _reshape(node):
    if not 1 <= len(node.inputs) <= 2 or len(node.outputs) != 1:
        raise Refusal(f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs")
    x, y = node.activation(0), _activation(node.outputs[0], "the output", None)
    if math.prod(x.shape) != math.prod(y.shape):
        raise Refusal(f"shapes {x.shape} and {y.shape} hold different numbers of elements")
    shapes = []  # may be given by the options, or by an operand, or by both
    if type(node.options) is tflite.ReshapeOptions and node.options.NewShapeLength():
        shapes.append(node.options.NewShapeAsNumpy())
    if len(node.inputs) == 2:
        shapes.append(_constant(node.inputs[1], "sizes of the new shape", "int32").data.ravel())
    for shape in shapes:
        if shape.size != len(y.shape) or np.any((shape != y.shape) & (shape != -1)):
            raise Refusal(f"the output has the shape {y.shape}, but {shape[:8].tolist()} is asked "
                          "for")
    _same_numbers(x, y)
    return {}


def _softmax(node):
    node.expect(tflite.SoftmaxOptions, 1)
    x = node.activation(0)
    y = node.result(x.shape)
    if x.shape[-1] > MOST_CLASSES:
        raise Refusal(f"it goes over {x.shape[-1]} elements, more than {MOST_CLASSES}")
    beta = node.option("Beta")
    if not 1 < beta * x.scale * (1 << 26) < math.inf:
        raise Refusal(f"beta {beta} and the input's scale {x.scale} are out of range")
    if (y.scale, y.zero_point) != (1 / 256, -128):
        raise Refusal(f"the output has the scale {y.scale} and the zero point {y.zero_point} "
                      "instead of 1/256 and -128")
    return {"beta": beta}


def _pad(node):
    node.expect(tflite.PadOptions, 2)
    x, pads = node.activation(0), _constant(node.inputs[1], "paddings", "int32")
    if pads.shape != (len(x.shape), 2):
        raise Refusal(f"the paddings have the shape {pads.shape} instead of {(len(x.shape), 2)}")
    padding = tuple(map(tuple, pads.data.tolist()))
    if not all(0 <= value <= LARGEST for pair in padding for value in pair) or any(padding[0]):
        raise Refusal(f"the paddings {padding} are not between 0 and {LARGEST}, or pad the batch")
    _same_numbers(x, node.result(tuple(size + sum(pair) for size, pair in zip(x.shape, padding,
                                                                              strict=True))))
    return {"padding": padding}


#: From the name of each supported operator to the function that checks it and gives the attributes
#: of :class:`host.graph.Operator`.
CHECKS = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "PAD": _pad,
}
