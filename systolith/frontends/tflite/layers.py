"""What layers with weights have in common in a .tflite file."""

import numpy as np

from systolith.frontends.tflite.node import Node, Refusal, check_factor, constant, positive
from systolith.graph.ir import Tensor, rescale

__all__ = ["check_bias_scale", "check_channels", "weights_of"]


def weights_of(node: Node, rank: int, axis: int) -> Tensor:
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


def check_channels(kind: str, x: Tensor, weights: Tensor, axis: int, bias: Tensor | None,
                   y: Tensor) -> None:
    """Refuse what the requantisation or 32 bits of accumulator cannot hold."""
    channels = weights.shape[axis]
    magnitudes = np.abs(np.moveaxis(weights.numbers, axis, 0).astype(np.int64))
    reach = magnitudes.reshape(channels, -1).sum(axis=1) * max(x.zero_point + 128,
                                                               127 - x.zero_point)
    if bias is not None:
        bias = constant(bias, "biases", "int32")
        if bias.shape != (channels,):
            raise Refusal(f"the biases have the shape {bias.shape} instead of {(channels,)}")
        if bias.zero_point != 0:
            raise Refusal(f"the biases have the zero point {bias.zero_point} instead of 0")
        reach = reach + np.abs(bias.numbers.astype(np.int64))
    if reach.max() >= 1 << 31:
        raise Refusal(f"the sums of channel {reach.argmax()} can exceed 32 bits")
    for channel, scale in enumerate(rescale(kind, x, weights, y).tolist()):
        check_factor(f"channel {channel}", scale)


def check_bias_scale(bias: Tensor | None, x: Tensor, weights: Tensor, y: Tensor) -> None:
    """Refuse biases in other units than those of the sums, as TensorFlow Lite Micro does here."""
    if bias is not None and len(weights.scales) == 1:
        scale, product = bias.scales[0] if bias.scales else 0.0, x.scale * weights.scale
        if abs(product - scale) > 0.02 * y.scale:
            raise Refusal(f"the biases have the scale {scale} instead of that of the sums, "
                          f"{product}")
