"""How convolutions run, and which operators take all images of a run at once, as if they were one
tall image.

Then the weights of a layer are read once for all of them. A layer of its own for each image reads
the same weights again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.placement import Placement
from systolith.compiler.options import Options
from systolith.compiler.schedule import Schedule
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.region_layers import packed_words, plan_convolution
from systolith.graph.attributes import Convolution
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels

__all__ = ["Plans", "plan_layers"]


@dataclass(frozen=True, kw_only=True)
class Plans:
    """How layers run.

    Attributes
    ----------
    convolutions : mapping
        The :class:`~systolith.compiler.tiling.conv_plan.ConvPlan` of each convolution by the index
        of its operator: several if it runs as layers of some of the filters each.
    batched : set of :class:`int`
        Indices of operators that take all images at once.
    packed, packed_words : mapping
        Inputs that are written in the order in which a convolution takes them: its plan, and the
        words that all images take.
    """

    convolutions: Mapping[int, tuple[ConvPlan, ...]]
    batched: frozenset[int]
    packed: Mapping[int, ConvPlan]
    packed_words: Mapping[int, int]


def plan_layers(machine: Machine, placement: Placement, options: Options) -> Plans:
    """The :class:`Plans` of all operators of the accelerator."""
    schedule = placement.schedule
    inputs = _packed_inputs(schedule)
    convolutions: dict[int, tuple[ConvPlan, ...]] = {}
    batched: set[int] = set()
    for op in schedule.accelerated:
        all_at_once = _can_batch(placement, op, options.batch)
        if op.record.planned:
            plan, all_at_once = _plan(machine, placement, op, options,
                                      packed=op.inputs[0] in inputs, batched=all_at_once)
            convolutions[op.index] = plan
        if all_at_once:
            batched.add(op.index)
    packed = {op.inputs[0]: op for op in schedule.accelerated if op.inputs[0] in inputs}
    return Plans(
        convolutions=convolutions, batched=frozenset(batched),
        packed={tensor: convolutions[op.index][0] for tensor, op in packed.items()},
        packed_words={tensor: (1 if op.index in batched else options.batch)
                      * packed_words(convolutions[op.index][0]) for tensor, op in packed.items()})


def _plan(machine: Machine, placement: Placement, operator: Operator, options: Options, *,
          packed: bool, batched: bool) -> tuple[tuple[ConvPlan, ...], bool]:
    """The plans of a convolution, and whether it takes all images at once, as it could if it is
    ``batched``."""
    graph = placement.schedule.graph
    source, target = (placement.regions[each] for each in (
        operator.inputs[0], operator.outputs[0]))
    order = {"packed": packed, "compact": options.compact}
    if batched:
        try:
            return plan_convolution(machine, graph, operator, source, target,
                                    images=options.batch, **order), True
        except ValueError:
            pass  # too many lines for the build
    return plan_convolution(machine, graph, operator, source, target, **order), False


def _can_batch(placement: Placement, operator: Operator, images: int) -> bool:
    """Whether ``operator`` could take so many ``images`` at once."""
    graph = placement.schedule.graph
    y = graph.result(operator)
    lines = y.shape[1] if len(y.shape) == 4 else 1
    if images == 1 or len(y.shape) > 4 or lines * images > MOST:
        return False
    sources, results = ([placement.regions[tensor] for tensor in tensors
                         if tensor in placement.regions]
                        for tensors in (operator.activations, operator.outputs))
    alike = operator.record.parts is not None or len({each.words for each in sources}) == 1
    return operator.record.batches_of(graph, operator) and alike and all(
        each.can_batch for each in (*sources, *results))


def _packed_inputs(schedule: Schedule) -> set[int]:
    """Inputs that one convolution alone reads: they are written in the order that it wants."""
    graph, packed = schedule.graph, set()
    for tensor in set(graph.inputs) - set(graph.outputs):
        readers = schedule.readers(tensor)
        if len(readers) == 1 and not schedule.parts.on_host(readers[0]) and _sums_channels(
                graph, readers[0]):
            packed.add(tensor)
    return packed


def _sums_channels(graph: Graph, operator: Operator) -> bool:
    """Whether windows are summed over all channels; over a single one a depthwise layer does."""
    record = operator.record
    if not record.planned or not isinstance(operator.attributes, Convolution):
        return False
    return (record.channels is Channels.WEIGHTED
            or graph.activation(operator).shape[3] == 1)
