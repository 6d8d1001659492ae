"""What layers with weights have in common in a .tflite file."""

from systolith.frontends.tflite.node import Node, Refusal, constant, positive, refuse
from systolith.graph import limits
from systolith.graph.ir import Tensor, rescale

__all__ = ["check_bias_scale", "check_channels", "weights_of"]


def weights_of(node: Node, rank: int) -> Tensor:
    """The weights, checked to be a constant of int8 with scales."""
    weights = constant(node.inputs[1], "weights", "int8")
    if len(weights.shape) != rank:
        raise Refusal(f"the weights have the shape {weights.shape} instead of {rank} axes")
    positive(weights.scales, "a channel of the weights")
    return weights


def check_channels(kind: str, x: Tensor, weights: Tensor, axis: int, bias: Tensor | None,
                   y: Tensor) -> None:
    """Refuse what the requantisation or 32 bits of accumulator cannot hold."""
    if bias is not None:
        bias = constant(bias, "biases", "int32")
    refuse(limits.of_layer(x, weights, axis, bias, lambda: rescale(kind, x, weights, y).tolist()))


def check_bias_scale(bias: Tensor | None, x: Tensor, weights: Tensor, y: Tensor) -> None:
    """Refuse biases in other units than those of the sums, as TensorFlow Lite Micro does here."""
    if bias is not None and len(weights.scales) == 1:
        scale, product = bias.scales[0] if bias.scales else 0.0, x.scale * weights.scale
        if abs(product - scale) > 0.02 * y.scale:
            raise Refusal(f"the biases have the scale {scale} instead of that of the sums, "
                          f"{product}")
