"""From operators to the layers of a program."""

from dataclasses import dataclass

from systolith.compiler.codegen.program import Layer, Segment
from systolith.compiler.layout.placement import Placement
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.elementwise import fused
from systolith.compiler.partition import CannotRun
from systolith.graph.ir import Operator
from systolith.graph.record import RecordError, UnknownOperator

__all__ = ["Lowered", "layers_of", "lower"]


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """``layers`` of the accelerator in their order, and ``steps`` that run them: a
    :class:`~systolith.compiler.codegen.program.Segment` on the accelerator, whose words count from
    the first one of the program, an operator on the host."""

    layers: tuple[Layer, ...]
    steps: tuple[Segment | Operator, ...]

    @property
    def segment_ends(self) -> set[int]:
        """Numbers of layers after which the program stops."""
        return {step.first + step.layers for step in self.steps if isinstance(step, Segment)}


def layers_of(context: Context, operator: Operator) -> list[Layer]:
    """Layers of an operator, for all images; they need no unit that its record does not name."""
    lower_one = operator.record.lower
    if lower_one is None:
        raise UnknownOperator(f"{operator} has no layers on the accelerator")
    layers: list[Layer] = []
    for image in range(context.images // context.count(operator)):
        try:
            each = lower_one(context.of(image), operator)
        except CannotRun:
            raise
        except ValueError as error:
            reason = str(error).removeprefix(f"{operator}: ")
            raise CannotRun(operator, reason) from error
        if not isinstance(each, list) or not all(isinstance(layer, Layer) for layer in each):
            raise RecordError(f"{operator}: the lower of its record must give a list of layers, "
                              f"not {each!r}")
        total = context.fused_adds.get(operator.index)
        layers += fused(context, total, each) if total else each
    for layer in layers:
        if layer.unit is not None and layer.unit not in layer.operator.record.units:
            raise UnknownOperator(f"{layer.operator} has layers that need {layer.unit}, which its "
                                  "record does not say")
    return layers


def lower(context: Context, placement: Placement, words: int) -> Lowered:
    """The layers of a schedule, whose descriptors take as many ``words`` each."""
    layers: list[Layer] = []
    steps: list[Segment | Operator] = []
    begin = 0

    def close() -> None:
        nonlocal begin
        if len(layers) > begin:
            segments = sum(isinstance(step, Segment) for step in steps)
            steps.append(Segment(first=begin, layers=len(layers) - begin,
                                 start=(begin + segments) * words,
                                 words=(len(layers) - begin + 1) * words))
            begin = len(layers)

    schedule = placement.schedule
    done = {total.index for total in schedule.fused_adds.values()}
    for op in schedule.order:
        if schedule.parts.on_host(op):
            close()
            steps.append(op)
        elif op.index not in done and placement.is_work(op):
            layers += layers_of(context, op)
    close()
    return Lowered(layers=tuple(layers), steps=tuple(steps))
