"""Operators that look at one number at a time, softmax and normalisation: how they enter the
graph."""

import math
from dataclasses import replace

import numpy as np

from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.values import Activation, Refusal, in_order

__all__ = ["lookup", "normalisation", "requantise", "softmax"]

#: Most channels that a normalisation sums over.
MOST_CHANNELS = 1 << 10


def lookup(node, x, kind, scale, zero_point, unsigned, bounds=FULL, **attributes):
    """An operator of ``kind`` whose results depend each on one number of ``x``."""
    builder = node.builder
    tensor = builder.append(kind, [x.tensor], node.outputs[0], builder.tensors[x.tensor].shape,
                            unsigned, Quantisation(scale, zero_point), range=bounds, **attributes)
    return Activation(tensor, x.shape, x.order)


def requantise(node, x, scale, zero_point, unsigned, bounds=FULL):
    """``x`` in another scale and between ``bounds``; the same tensor if that changes nothing."""
    draft = node.builder.tensors[x.tensor]
    old = draft.quantisation
    if (old.scale, old.zero_point, draft.unsigned) == (scale, zero_point, unsigned) and (
            bounds == FULL):
        return Activation(x.tensor, x.shape, x.order)
    return lookup(node, x, "QUANTIZE", scale, zero_point, unsigned, bounds)


def normalisation(node, x, scale, zero_point, unsigned):
    """Among neighbours in the channels."""
    size = node.integer("size", 0)
    if size not in range(1, MOST_CHANNELS, 2):
        raise Refusal(f"the size {size} is not an odd number of up to {MOST_CHANNELS} channels")
    attributes = {name: node.number(name, default) for name, default in (
        ("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))}
    if not all(0 < value < math.inf for value in attributes.values()):
        raise Refusal(f"only positive numbers are possible, not {attributes}")
    builder = node.builder
    source = builder.image(x)
    tensor = builder.append("LOCAL_RESPONSE_NORMALIZATION", [source], node.outputs[0],
                            builder.tensors[source].shape, unsigned,
                            Quantisation(scale, zero_point), range=FULL, size=size, **attributes)
    return builder.result(tensor, x.shape)


def softmax(node, x, scale, zero_point, unsigned):
    """Along the axis that lies last in the tensor; before version 13, along all from ``axis`` on,
    which must amount to the same."""
    version = node.integer("opset", node.version)
    axis = node.axis(len(x.shape), -1 if version >= 13 else 1)
    if version < 13 and np.prod(x.shape[axis + 1:]) != 1:
        raise Refusal(f"it goes over the axes from {axis} on of {x.shape}; only one is possible")
    if not np.array_equal(x.order, in_order(x.shape, axis)):
        raise Refusal(f"it goes along axis {axis} of {x.shape}; only channels, (n, c, h, w) or "
                      "the last of two axes, are possible")
    moved = (*x.shape[:axis], *x.shape[axis + 1:], x.shape[axis])
    if len(moved) == 3 and axis == 1:
        moved = (moved[0], 1, *moved[1:])
    x = replace(x, tensor=node.builder.reshape(x.tensor, moved))
    return lookup(node, x, "SOFTMAX", scale, zero_point, unsigned)
