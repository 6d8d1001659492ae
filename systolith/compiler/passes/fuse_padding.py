from dataclasses import replace

from systolith.graph.ir import Graph, Operator

__all__ = ["fuse_padding"]

#: Padding on a side at the most, as the im2col unit has it.
MOST = 255


def fuse_padding(graph: Graph) -> Graph:
    """``graph`` whose convolutions pad by themselves what a PAD pads for them.

    Both pad with the zero point of the tensor. A PAD of channels, or of more than a convolution
    can, stays.
    """
    pads = {op.outputs[0]: op for op in graph.operators if op.kind == "PAD"
            and op.attributes.fill is None}
    operators = []
    for op in graph.operators:
        if op.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"} and op.inputs[0] in pads:
            op = _fused(graph, pads[op.inputs[0]], op) or op
        operators.append(op)
    return replace(graph, operators=tuple(operators))


def _fused(graph: Graph, pad: Operator, operator: Operator) -> Operator | None:
    x, y = graph.activation(pad), graph.result(pad)
    images, *sides, channels = pad.attributes.padding
    if len(sides) != 2 or any(images + channels) or (x.scales, x.zero_point) != (
            y.scales, y.zero_point):
        return None
    padding = tuple(tuple(own + more for own, more in zip(*pair, strict=True))
                    for pair in zip(operator.attributes.padding, sides, strict=True))
    if max(max(pair) for pair in padding) > MOST:
        return None
    return replace(operator, inputs=(pad.inputs[0], *operator.inputs[1:]),
                   attributes=replace(operator.attributes, padding=padding))
