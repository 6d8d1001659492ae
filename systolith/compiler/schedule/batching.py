"""Which operators take all images of a run at once, as if they were one tall image.

Then the weights of a layer are read once for all of them. A layer of its own for each image reads
the same weights again.
"""

from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.lowering.convolution import conv_plan
from systolith.compiler.lowering.pooling import spans
from systolith.compiler.tiling.conv_layers import CONVOLUTIONS
from systolith.graph.ir import POINTWISE

__all__ = ["conv_plans", "can_batch"]

#: What looks at a line, or at less, and gives as many lines as it takes, or a multiple.
LINEWISE = {"ADD", "CONCATENATION", "MEAN", "RESIZE_NEAREST_NEIGHBOR", *POINTWISE}


def conv_plans(machine, graph, placement, dense, images, compact):
    """The :class:`~systolith.compiler.tiling.conv_plan.ConvPlan` of each convolution by index of
    operator, and the indices of those which take all ``images``. Lines of ``dense`` inputs may be
    interleaved, but for ``compact`` ones."""
    plans, batched = {}, set()
    for op in placement.accelerated:
        if op.kind in CONVOLUTIONS:
            region, target = (placement.regions[each] for each in (op.inputs[0], op.outputs[0]))
            order = {"dense": op.inputs[0] in dense, "compact": compact}
            if images > 1 and can_batch(graph, op, images):
                try:
                    plans[op.index] = conv_plan(machine, graph, op, region, target,
                                                images=images, **order)
                    batched.add(op.index)
                    continue
                except ValueError:
                    pass  # too many lines for the build
            plans[op.index] = conv_plan(machine, graph, op, region, target, **order)
    return plans, batched


def can_batch(graph, operator, images):
    """Whether ``operator`` could take ``images`` at once."""
    y, attributes = graph.result(operator), operator.attributes
    lines = y.shape[1] if len(y.shape) == 4 else 1
    if images == 1 or len(y.shape) > 4 or lines * images > MOST:
        return False
    match operator.kind:
        case "FULLY_CONNECTED":
            return True
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            weights = graph.operand(operator, 1)
            return (weights.shape[1], attributes["stride"][0], attributes["padding"][0]) == (
                1, 1, (0, 0))
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
            rows, _ = spans(graph, operator)
            height = graph.operand(operator, 0).shape[1]
            return len(rows) == 1 and height == lines * attributes["stride"][0]
        case kind:
            return kind in LINEWISE
