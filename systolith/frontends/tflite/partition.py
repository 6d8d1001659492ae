"""What is left to the runtime: operators of a file that graphs cannot have, as models of their
own."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from systolith.frontends.tflite.cut import cut
from systolith.graph.attributes import Foreign
from systolith.graph.ir import ModelError, Operator, Tensor

__all__ = ["Left", "in_groups"]

#: Layers with weights, each of which meets every pixel; of a depthwise one, those of a channel.
LAYERS = {"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"}


@dataclass(frozen=True, kw_only=True)
class Left:
    """An operator of a file that is left to the runtime, and the ``reason``."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    reason: str


def in_groups(data: bytes, tensors: Sequence[Tensor], operators: Iterable[Operator],
              left: Iterable[Left], outputs: Sequence[int], computed: set[int],
              renamed: Mapping[int, int]) -> list[Operator]:
    """``operators``, and what is ``left`` in as few groups as their order allows: each is a model
    cut from the file ``data``. Constants that are ``computed`` are not constants there. Operands
    that operators change are other tensors, ``renamed``, after that.

    All operators come in an order in which they can run: neither those of the graph nor those that
    are left to the runtime stop before all that can be done is done. Raises
    :exc:`~systolith.graph.ir.ModelError` if there is none.
    """
    waiting: list[Operator | Left] = sorted([*operators, *left], key=lambda each: each.index)
    made = {index for each in waiting for index in each.outputs}
    ordered: list[Operator] = []
    foreign = False
    while waiting:
        group = _ready(waiting, made, foreign)
        if not group and not _ready(waiting, made, not foreign):
            first = waiting[0]
            raise ModelError(f"operator {first.index} ({first.kind}) reads what only it, or an "
                             "operator behind it, computes: the model is damaged, convert or fetch "
                             "it again")
        waiting = [each for each in waiting if each not in group]
        made.difference_update(index for each in group for index in each.outputs)
        lefts = [each for each in group if isinstance(each, Left)]
        ordered += [each for each in group if isinstance(each, Operator)]
        if lefts:
            ordered += _model(data, tensors, lefts, waiting, outputs, computed, renamed)
        foreign = not foreign
    return ordered


def _ready(waiting: Sequence[Operator | Left], made: set[int],
           foreign: bool) -> list[Operator | Left]:
    """All operators of the graph, or those left, that can run before any of the others does;
    ``made`` is what is still to come."""
    missing, group = set(made), []
    for each in waiting:
        if isinstance(each, Left) == foreign and not missing.intersection(each.inputs):
            group.append(each)
            missing.difference_update(each.outputs)
    return group


def _model(data: bytes, tensors: Sequence[Tensor], group: Sequence[Left],
           later: Sequence[Operator | Left], outputs: Sequence[int],
           computed: set[int], renamed: Mapping[int, int]) -> list[Operator]:
    """One operator for a ``group``; none, if nothing needs what it gives."""
    own = {index for each in group for index in each.outputs}
    inputs = list(dict.fromkeys(
        index for each in group for index in each.inputs
        if index >= 0 and index not in own and tensors[index].data is None))
    wanted = {index for each in later for index in each.inputs} | {*outputs}
    results = [index for each in group for index in each.outputs if index in wanted]
    results += [index for index in inputs if index in renamed]
    if not results:
        return []
    numbers = tuple(each.index for each in group)
    constants = {index: tensors[index].numbers for each in group for index in each.inputs
                 if index in computed}
    alike = len({each.kind for each in group}) == 1
    reasons = dict.fromkeys(each.reason if alike else f"{each.kind}: {each.reason}"
                            for each in group)
    return [Operator(
        kind="RUNTIME", inputs=tuple(inputs), index=group[0].index,
        outputs=tuple(renamed.get(index, index) for index in results),
        attributes=Foreign(
            model=cut(data, numbers, inputs, results, constants), form="tflite", numbers=numbers,
            names=tuple(each.kind for each in group), reason="; ".join(reasons),
            macs=sum(_macs(tensors, each) for each in group)))]


def _macs(tensors: Sequence[Tensor], operator: Left) -> int:
    """Products of an operator with weights."""
    if operator.kind == "SVDF" and len(operator.inputs) >= 3:  # of features, and of time
        return sum(math.prod(tensors[index].shape) for index in operator.inputs[1:3])
    if operator.kind not in LAYERS or len(operator.inputs) < 2:
        return 0
    weights, y = tensors[operator.inputs[1]].shape, tensors[operator.outputs[0]].shape
    if operator.kind == "DEPTHWISE_CONV_2D":
        return math.prod(y) * math.prod(weights[1:3])
    pixels = tensors[operator.inputs[2]].shape if operator.kind == "TRANSPOSE_CONV" else y
    return math.prod(pixels[:-1]) * math.prod(weights)
