"""Which additions take place where the results of a convolution pass the requantiser."""

from dataclasses import replace

from rtl.accelerator import AcceleratorParams
from systolith.compiler.codegen.program import Layer
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.layout.placement import Placement, owner_of, place_tensors
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.lower import layers_of
from systolith.compiler.memory.addresses import Memory, assign_addresses, can_run_in_place
from systolith.compiler.options import Options
from systolith.compiler.schedule import Schedule
from systolith.compiler.tiling.plans import Plans
from systolith.graph.ir import Operator
from systolith.graph.record import Placement as Kind

__all__ = ["fuse_adds"]

#: By the index of a convolution, the sum that takes place in it.
Sums = dict[int, Operator]


def fuse_adds(context: Context, params: AcceleratorParams, placement: Placement, memory: Memory,
              options: Options) -> tuple[Placement, Memory]:
    """Let additions take place in convolutions where that is faster, and needs no memory that there
    is not: the placement, of a schedule with ``fused_adds``, and the memory for that."""
    schedule = placement.schedule
    sums = _choose(context, schedule, params) if params.fused and not options.keep else {}
    while sums:
        fused = replace(schedule, order=_next_to_each_other(schedule.order, sums), fused_adds=sums)
        placed = place_tensors(fused, params.word_bytes)
        found = assign_addresses(placed, context.plans, options)
        kept = _in_place(fused, placed, found, context.plans)
        if kept != sums:
            sums = kept
            continue
        if found.words > memory.words and (params.single_memory or found.words > params.words):
            break
        return placed, found
    return placement, memory


def _choose(context: Context, schedule: Schedule, params: AcceleratorParams) -> Sums:
    """The sums that save cycles in a convolution. Nothing else may read what that computes."""
    graph, model, sums = context.graph, CycleModel(context.machine), {}
    operators = schedule.accelerated
    made = {op.outputs[0]: op for op in operators}

    def candidates(total: Operator) -> list[Operator]:
        found = (made.get(tensor) for tensor in set(total.inputs) - set(graph.outputs))
        return [op for op in found if op is not None and op.record.takes_sum
                and op.index not in sums
                and sum(each.inputs.count(op.outputs[0]) for each in graph.operators) == 1]

    def cycles(layers: list[Layer]) -> int:
        return sum(each.cycles for each in model.layers(layers))

    for total in operators:
        if not total.record.sums:
            continue
        best = 0
        for op in candidates(total):
            # Tables come while the layer before is at work.
            before = [each for each in operators[:operators.index(total)]
                      if each != op and each.record.placement is not Kind.VIEW]
            last = layers_of(context, before[-1]) if before else []
            apart = [*last, *layers_of(context, op), *layers_of(context, total)]
            joined = [*last, *layers_of(replace(context, fused_adds={op.index: total}), op)]
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


def _next_to_each_other(order: tuple[Operator, ...], sums: Sums) -> tuple[Operator, ...]:
    """``order`` with each of the convolutions right before its sum."""
    moved = {total.index: op for op in order for total in [sums.get(op.index)] if total}
    after = []
    for op in order:
        if op.index in moved:
            after.append(moved[op.index])
        if op.index not in sums:
            after.append(op)
    return tuple(after)


def _in_place(schedule: Schedule, placement: Placement, memory: Memory, plans: Plans) -> Sums:
    """The sums whose result lies where the other operand did, which is there until then even if the
    convolution reads it as well."""
    kept, regions = {}, memory.regions
    for op in schedule.order:
        if op.index not in schedule.fused_adds:
            continue
        total = schedule.fused_adds[op.index]
        other, = (tensor for tensor in total.inputs if tensor != op.outputs[0])
        if (other in regions and regions[other] == regions[total.outputs[0]]
                and owner_of(memory.owners, other) == owner_of(memory.owners, total.outputs[0])
                and (op.inputs[0] not in regions
                     or can_run_in_place(plans.convolutions[op.index])
                     or owner_of(memory.owners, op.inputs[0]) != owner_of(memory.owners, other))):
            kept[op.index] = total
    return kept
