"""Pools: what they may look like, and how they enter the graph."""

from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.layers import check_factors
from systolith.frontends.onnx.node import window
from systolith.frontends.onnx.values import Refusal

__all__ = ["average", "maximum", "mean"]


def _first(function):
    """``function`` of images (n, c, h, w), also for those whose channels come ``last``."""
    def check(node, x, *quantisation, last=False):
        if not last:
            return function(node, x, *quantisation)
        back = (0, *range(2, len(x.shape)), 1)
        there = (0, len(x.shape) - 1, *range(1, len(x.shape) - 1))
        result = function(node, x.moved(lambda places: places.transpose(there)), *quantisation)
        return result.moved(lambda places: places.transpose(back))
    return check


@_first
def mean(node, x, scale, zero_point, unsigned):
    """The mean over all pixels."""
    builder = node.builder
    source = builder.image(x)
    n, h, w, channels = builder.tensors[source].shape
    input_ = builder.tensors[source].quantisation
    if h * w * max(input_.zero_point + 128, 127 - input_.zero_point) >= 1 << 31:
        raise Refusal(f"the sums of {h * w} pixels can exceed 32 bits")
    check_factors(input_.scale / (scale * h * w))
    tensor = builder.append("MEAN", [source], node.outputs[0], (n, 1, 1, channels), unsigned,
                            Quantisation(scale, zero_point), range=FULL)
    return builder.result(tensor, (n, channels, *(1,) * (len(x.shape) - 2)))


def _pooled(node, x, kind, unsigned, quantisation, **attributes):
    source = node.builder.image(x)
    kernel = node.integers("kernel_shape")
    outputs, geometry = window(node, x.shape[2:], kernel)
    del geometry["dilation"]
    kernel = (1,) * (2 - len(kernel)) + kernel
    if any(max(pair) >= k for pair, k in zip(geometry["padding"], kernel, strict=True)):
        raise Refusal(f"the padding {geometry['padding']} is not smaller than the kernel {kernel}")
    n, channels = x.shape[:2]
    tensor = node.builder.append(kind, [source], node.outputs[0], (n, *outputs, channels), unsigned,
                                 quantisation, kernel=kernel, range=FULL, **geometry, **attributes)
    return node.builder.result(tensor, (n, channels, *outputs[4 - len(x.shape):]))


@_first
def average(node, x, scale, zero_point, unsigned):
    """Means over windows."""
    return _pooled(node, x, "AVERAGE_POOL_2D", unsigned, Quantisation(scale, zero_point),
                   count_padding=bool(node.integer("count_include_pad", 0)))


def maximum(node, x):
    """Maxima over windows, in the scale of ``x``."""
    draft = node.builder.tensors[x.tensor]
    return _pooled(node, x, "MAX_POOL_2D", draft.unsigned, draft.quantisation)
