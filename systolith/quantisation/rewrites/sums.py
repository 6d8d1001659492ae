"""Sums of any number of tensors."""

from onnx import NodeProto

from systolith.quantisation.rewrites.graph import Chain, FloatGraph, Made

__all__ = ["sum_by_additions"]


def sum_by_additions(graph: FloatGraph, node: NodeProto) -> Chain | None:
    """An Add for a Sum of two, and one more for each further tensor."""
    if node.op_type != "Sum" or len(node.input) < 2:
        return None
    return Chain(node.input[0], [node], [Made("Add", [name]) for name in node.input[1:]])
