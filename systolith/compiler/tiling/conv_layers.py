"""From operators of a graph to layers that :class:`Conv2d` runs."""

from typing import Any

import numpy as np

from rtl.im2col import ConvShape
from sim.golden.requantize import channel_params
from systolith.compiler.tiling.conv_layer import ConvLayer
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import UnknownOperator

__all__ = ["conv_layer", "layer_constants", "requantisation"]


def requantisation(graph: Graph, factor: float | np.floating) -> tuple[int, int]:
    """``(multiplier, shift)`` with which the hardware multiplies by ``factor`` and rounds as
    ``graph`` asks for."""
    if graph.rounding == "float32":
        return int(np.float32(factor).view(np.uint32)), 0
    return channel_params(float(factor))


def layer_constants(graph: Graph, operator: Operator) -> dict[str, Any]:
    """What a :class:`ConvLayer` has beside shape and weights, of any operator with weights."""
    x, y = graph.activation(operator), graph.result(operator)
    params = np.array([requantisation(graph, scale) for scale in graph.rescale(operator)])
    low, high = graph.clamp(operator)
    return {"bias": graph.bias(operator), "multiplier": params[:, 0], "shift": params[:, 1],
            "input_zero_point": x.zero_point, "zero_point": y.zero_point, "low": low, "high": high}


def conv_layer(graph: Graph, operator: Operator, images: int) -> ConvLayer:
    """The :class:`ConvLayer` of a convolution, or of a fully connected layer, over ``images``.

    A fully connected layer is a 1x1 convolution of a column in which each image is a pixel: so
    all of them share its weights.

    Raises :exc:`~systolith.graph.record.UnknownOperator` for any other kind.
    """
    x, weights = graph.activation(operator), graph.weights(operator).numbers
    match operator.kind:
        case "FULLY_CONNECTED":
            shape = ConvShape(height=images, width=1, channels=weights.shape[1])
            return ConvLayer(shape=shape, weights=weights[:, None, None, :],
                             **layer_constants(graph, operator))
        case "DEPTHWISE_CONV_2D":
            weights = weights.transpose(3, 1, 2, 0)
        case "CONV_2D":
            pass
        case kind:
            raise UnknownOperator(f"{operator}: operators of kind {kind} are no convolutions")
    _, height, width, channels = x.shape
    shape = ConvShape(
        height=height, width=width, channels=channels, kernel=weights.shape[1:3],
        groups=channels // weights.shape[3], images=images,
        **{name: getattr(operator.attributes, name) for name in ("stride", "dilation", "padding")})
    return ConvLayer(shape=shape, weights=weights, **layer_constants(graph, operator))
