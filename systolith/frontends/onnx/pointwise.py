"""How operators that look at one number at a time enter the graph."""

from systolith.frontends.onnx.builder import FULL, Quantisation
from systolith.frontends.onnx.values import Activation

__all__ = ["lookup", "requantise"]


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
