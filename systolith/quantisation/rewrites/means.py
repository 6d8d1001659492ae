"""Means over all pixels, which newer exporters write as ReduceMean."""

from onnx import NodeProto

from systolith.quantisation.rewrites.graph import Chain, FloatGraph, Made, attribute

__all__ = ["mean_by_pooling"]


def mean_by_pooling(graph: FloatGraph, node: NodeProto) -> Chain | None:
    """A GlobalAveragePool for a ReduceMean over all axes behind that of the channels."""
    if node.op_type != "ReduceMean":
        return None
    x = node.input[0]
    rank = len(graph.shape(x))
    axes = attribute(node, "axes", None)
    if len(node.input) > 1:
        axes = graph.constant(node.input[1])
    if axes is None or rank < 3 or sorted(int(axis) % rank for axis in axes) != list(
            range(2, rank)):
        return None
    made = [Made("GlobalAveragePool")]
    if not attribute(node, "keepdims", 1):
        made.append(Made("Flatten", attributes={"axis": 1}))
    return Chain(x, [node], made)
