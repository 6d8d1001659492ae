"""What a layer with weights may look like in a .tflite file."""

import math

import numpy as np
import tflite

from systolith.frontends.tflite.node import Refusal, check_factor, constant, positive, window
from systolith.graph.ir import rescale

__all__ = ["conv", "depthwise", "fully_connected", "transpose_conv"]


def _weights(node, rank, axis):
    """The weights, checked to be symmetric with one scale, or one for each index of ``axis``."""
    weights = constant(node.inputs[1], "weights", "int8")
    if len(weights.shape) != rank:
        raise Refusal(f"the weights have the shape {weights.shape} instead of {rank} axes")
    if weights.zero_point != 0:
        raise Refusal("the weights have zero points other than 0")
    channels = weights.shape[axis]
    if len(weights.scales) not in {1, channels} or (
            len(weights.scales) > 1 and weights.axis != axis):
        raise Refusal(f"the weights have {len(weights.scales)} scales along axis {weights.axis} "
                      f"instead of 1 or {channels} along axis {axis}")
    positive(weights.scales, "a channel of the weights")
    return weights


def _check_channels(kind, x, weights, axis, bias, y):
    """Refuse what the requantisation or 32 bits of accumulator cannot hold."""
    channels = weights.shape[axis]
    magnitudes = np.abs(np.moveaxis(weights.data, axis, 0).astype(np.int64))
    reach = magnitudes.reshape(channels, -1).sum(axis=1) * max(x.zero_point + 128,
                                                               127 - x.zero_point)
    if bias is not None:
        bias = constant(bias, "biases", "int32")
        if bias.shape != (channels,):
            raise Refusal(f"the biases have the shape {bias.shape} instead of {(channels,)}")
        if bias.zero_point != 0:
            raise Refusal(f"the biases have the zero point {bias.zero_point} instead of 0")
        reach = reach + np.abs(bias.data.astype(np.int64))
    if reach.max() >= 1 << 31:
        raise Refusal(f"the sums of channel {reach.argmax()} can exceed 32 bits")
    for channel, scale in enumerate(rescale(kind, x, weights, y).tolist()):
        check_factor(f"channel {channel}", scale)


def _convolve(node, options, axis):
    node.expect(options, 2, 3)
    x, weights = node.activation(0, 4), _weights(node, 4, axis)
    dilation = node.option("DilationHFactor"), node.option("DilationWFactor")
    outputs, geometry = window(node, x.shape[1:3], weights.shape[1:3], dilation)
    y = node.result((x.shape[0], *outputs, weights.shape[axis]))
    _check_channels(node.kind, x, weights, axis, node.optional(2), y)
    return x, weights, {"dilation": dilation, **geometry, "activation": node.fused()}


def conv(node):
    x, weights, attributes = _convolve(node, tflite.Conv2DOptions, 0)
    groups, rest = divmod(x.shape[3], weights.shape[3])
    if rest or weights.shape[0] % groups:
        raise Refusal(f"{x.shape[3]} input channels and filters of shape {weights.shape} make no "
                      "groups")
    return attributes


def depthwise(node):
    x, weights, attributes = _convolve(node, tflite.DepthwiseConv2DOptions, 3)
    multiplier = node.option("DepthMultiplier")
    if weights.shape[0] != 1 or weights.shape[3] != x.shape[3] * multiplier:
        raise Refusal(f"{x.shape[3]} input channels with multiplier {multiplier} do not give the "
                      f"weights' shape {weights.shape}")
    return attributes


def transpose_conv(node):
    """Of its shape, the reference takes the output's; elsewhere the first operand counts."""
    node.expect(tflite.TransposeConvOptions, 3, 4)
    shape = constant(node.inputs[0], "sizes of the output", "int32").data
    weights, x = _weights(node, 4, 0), node.activation(2, 4)
    if shape.shape != (4,):
        raise Refusal(f"the sizes of the output have the shape {shape.shape} instead of (4,)")
    y = node.result(tuple(shape.tolist()))
    if weights.shape[3] != x.shape[3] or y.shape != (x.shape[0], *y.shape[1:3], weights.shape[0]):
        raise Refusal(f"shapes {x.shape}, {weights.shape} and {y.shape} do not fit each other")
    size, geometry = window(node, y.shape[1:3], weights.shape[1:3])
    if size != x.shape[1:3]:
        raise Refusal(f"the convolution that it transposes leads to {size}, but the input is "
                      f"{x.shape[1:3]}")
    _check_channels(node.kind, x, weights, 0, node.optional(3), y)
    return {**geometry, "activation": node.fused()}


def fully_connected(node):
    node.expect(tflite.FullyConnectedOptions, 2, 3)
    x, weights = node.activation(0), _weights(node, 2, 0)
    if node.option("WeightsFormat") != 0:
        raise Refusal("the weights are in a shuffled format")
    cout, cin = weights.shape
    rows, rest = divmod(math.prod(x.shape), cin)
    y = node.result()
    if rest or math.prod(y.shape) != rows * cout or y.shape[-1:] != (cout,):
        raise Refusal(f"shapes {x.shape}, {weights.shape} and {y.shape} do not fit each other")
    _check_channels(node.kind, x, weights, 0, node.optional(2), y)
    _check_bias_scale(node.optional(2), x, weights, y)
    return {"activation": node.fused()}


def _check_bias_scale(bias, x, weights, y):
    """Refuse biases in other units than those of the sums, as TensorFlow Lite Micro does here."""
    if bias is not None and len(weights.scales) == 1:
        scale, product = bias.scales[0] if bias.scales else 0.0, x.scale * weights.scale
        if abs(product - scale) > 0.02 * y.scale:
            raise Refusal(f"the biases have the scale {scale} instead of that of the sums, "
                          f"{product}")
