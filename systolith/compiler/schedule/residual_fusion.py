"""Which additions take place where the results of a convolution pass the requantiser."""

from dataclasses import replace

from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.memory.tensor_placement import can_run_in_place

__all__ = ["choose_fused_adds", "in_place", "next_to_each_other"]

#: Convolutions that a sum may follow.
BEFORE = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def choose_fused_adds(context, operators, params, lower):
    """The ADD that is to take place in a convolution, by the index of that, where it saves cycles.

    ``operators`` are those of the accelerator, ``lower`` makes layers of one in a context. Nothing
    else may read what the convolution computes.
    """
    if not params.fused:
        return {}
    graph, model, sums = context.graph, CycleModel(context.machine), {}
    made = {op.outputs[0]: op for op in operators}

    def cycles(layers):
        return sum(each.cycles for each in model.layers(layers))

    for total in operators:
        if total.kind != "ADD":
            continue
        best = 0
        for tensor in set(total.inputs):
            op = made.get(tensor)
            if (op is None or op.kind not in BEFORE or op.index in sums or tensor in graph.outputs
                    or sum(each.inputs.count(tensor) for each in graph.operators) > 1):
                continue
            # Tables come while the layer before is at work.
            before = [each for each in operators[:operators.index(total)]
                      if each != op and each.kind != "RESHAPE"]
            before = lower(context, before[-1]) if before else []
            apart = [*before, *lower(context, op), *lower(context, total)]
            joined = [*before, *lower(replace(context, sums={op.index: total}), op)]
            # Beats that are stored channel by channel are not written where words are read.
            if any(layer.fields["store"]["lane_step"] for layer in joined
                   if layer.fields.get("sum")):
                continue
            gain = cycles(apart) - cycles(joined)
            if gain > best:
                best, chosen = gain, op
        if best:
            sums[chosen.index] = total
    return sums


def next_to_each_other(order, sums):
    """``order`` with each of the convolutions right before its sum."""
    moved = {total.index: op for op in order for total in [sums.get(op.index)] if total}
    after = []
    for op in order:
        if op.index in moved:
            after.append(moved[op.index])
        if op.index not in sums:
            after.append(op)
    return after


def in_place(placement, sums, plans):
    """Those of ``sums`` whose result lies where the other operand did, which is there until then
    even if the convolution reads it as well."""
    kept = {}
    for op in placement.order:
        if op.index not in sums:
            continue
        total = sums[op.index]
        other, = (tensor for tensor in total.inputs if tensor != op.outputs[0])
        regions = placement.regions
        if (other in regions and regions[other] == regions[total.outputs[0]]
                and placement.owner(other) == placement.owner(total.outputs[0])
                and (op.inputs[0] not in regions or can_run_in_place(plans[op.index])
                     or placement.owner(op.inputs[0]) != placement.owner(other))):
            kept[op.index] = total
    return kept
