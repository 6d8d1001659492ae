from collections.abc import Sequence
from dataclasses import dataclass, replace

from systolith.graph.attributes import Convolution, Padding, Pair, pair_of
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Locality

__all__ = ["fuse_dilation"]


def fuse_dilation(graph: Graph) -> Graph:
    """``graph`` with a dilation in place of a SPACE_TO_BATCH_ND before a convolution and a
    BATCH_TO_SPACE_ND behind it.

    Each of the images in between has every n-th line and pixel, so that neighbours there lie n
    apart. Between the two there may be elementwise operators, and reshaping that gives an image of
    three axes a line, or a column, of its own.
    """
    for op in graph.operators:
        if op.kind == "SPACE_TO_BATCH_ND" and (chain := _chain(graph, op)) is not None:
            graph = _dilated(graph, chain)
    return graph


@dataclass(frozen=True, kw_only=True)
class _Chain:
    """Operators from a SPACE_TO_BATCH_ND to a BATCH_TO_SPACE_ND; the convolution among them has the
    ``stride`` 1, and ``axes`` of its images are those that the two split."""

    operators: Sequence[Operator]
    convolution: Operator
    axes: tuple[int, ...]

    @property
    def ends(self) -> tuple[Operator, Operator]:
        return self.operators[0], self.operators[-1]


def _chain(graph: Graph, first: Operator) -> _Chain | None:
    found, convolution, axes = [first], None, (1, 2)
    while found[-1].kind != "BATCH_TO_SPACE_ND":
        tensor = found[-1].outputs[0]
        readers = [op for op in graph.operators if tensor in op.inputs]
        if len(readers) != 1 or tensor in graph.outputs or readers[0].activations != (tensor,):
            return None
        op, = readers
        x, y = graph.activation(op).shape, graph.result(op).shape
        if op.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"} and convolution is None:
            if op.attributes.stride != (1, 1):
                return None
            convolution = op
        elif op.kind == "RESHAPE" and convolution is None and len(x) == 3:
            if y not in {(x[0], 1, *x[1:]), (*x[:2], 1, x[2])}:
                return None
            axes = (2,) if y[1] == 1 else (1,)
        elif op.kind == "RESHAPE" and convolution is not None and len(axes) == 1:
            if y != (*x[:3 - axes[0]], *x[4 - axes[0]:]):
                return None
        elif op.kind != "BATCH_TO_SPACE_ND" and op.record.locality is not Locality.ELEMENT:
            return None
        found.append(op)
    splits = first.attributes.block == found[-1].attributes.block and len(
        first.attributes.block) == len(axes)
    if convolution is None or not splits or graph.activation(first).shape[0] != 1:
        return None
    chain = _Chain(operators=found, convolution=convolution, axes=axes)
    return chain if min(min(pair) for pair in _window(chain)[1]) >= 0 else None


def _window(chain: _Chain) -> tuple[Pair, Padding]:
    """Dilation and padding of the convolution over the image that was split."""
    first, last = chain.ends
    before: Convolution = chain.convolution.attributes
    dilation, padding = list(before.dilation), [list(pair) for pair in before.padding]
    for axis, step, own, cut in zip(chain.axes, first.attributes.block, first.attributes.sides,
                                    last.attributes.sides, strict=True):
        dilation[axis - 1] *= step
        padding[axis - 1] = [own[side] + step * padding[axis - 1][side] - cut[side]
                             for side in range(2)]
    top, left = map(pair_of, padding)
    return pair_of(dilation), (top, left)


def _dilated(graph: Graph, chain: _Chain) -> Graph:
    """``graph`` with the convolution over the whole image."""
    (first, last), tensors, kept = chain.ends, list(graph.tensors), []
    dilation, padding = _window(chain)
    tensor, shape = first.inputs[0], tensors[first.inputs[0]].shape  # what comes next is done with
    for op in chain.operators[1:-1]:
        split = tensors[op.outputs[0]].shape
        if op is chain.convolution:
            op = replace(op, attributes=replace(op.attributes, dilation=dilation, padding=padding))
            shape = tensors[last.outputs[0]].shape
        tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], shape=(
            (*shape[:3 - chain.axes[0]], 1, *shape[3 - chain.axes[0]:])
            if len(split) > len(shape) else shape))
        kept.append(replace(op, inputs=(tensor, *op.inputs[1:])))
        tensor = op.outputs[0]
    kept[-1] = replace(kept[-1], outputs=last.outputs)
    at = graph.operators.index(last)
    before, after = (tuple(op for op in operators if op not in chain.operators)
                     for operators in (graph.operators[:at], graph.operators[at:]))
    return replace(graph, tensors=tuple(tensors), operators=(*before, *kept, *after))
