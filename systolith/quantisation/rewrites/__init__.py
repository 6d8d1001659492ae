"""Float graphs in other words: with operators that onnxruntime has integer kernels for, in place of
those that it computes in floating point though they are quantised.

A rewrite gives the same numbers but for the rounding of float32. It is a function of a
:class:`~systolith.quantisation.rewrites.graph.FloatGraph` and one of its operators, which returns a
:class:`~systolith.quantisation.rewrites.graph.Chain` to take the place of this one and of the next
ones, or None.
"""

from onnx import ModelProto, shape_inference

from systolith.quantisation.rewrites.affine import channels_by_convolution, norm_into_gemm
from systolith.quantisation.rewrites.graph import FloatGraph
from systolith.quantisation.rewrites.means import mean_by_pooling
from systolith.quantisation.rewrites.sums import sum_by_additions

__all__ = ["REWRITES", "rewritten"]

REWRITES = (mean_by_pooling, sum_by_additions, norm_into_gemm, channels_by_convolution)


def rewritten(model: ModelProto) -> ModelProto:
    """``model``, whose shapes are known, after all of :data:`REWRITES`."""
    for rewrite in REWRITES:
        graph = FloatGraph(model)
        chains = {}
        for node in model.graph.node:
            chain = None if graph.taken(node) else rewrite(graph, node)
            if chain is not None:
                graph.take(chain)
                chains[id(chain.nodes[-1])] = chain
        if chains:
            graph.apply(chains)
            model = shape_inference.infer_shapes(model)
    return model
