"""Which tensors have memory of their own, and which are a part of another tensor's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from systolith.compiler.batch import check_batch
from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.layout.region import Region
from systolith.compiler.layout.views import image_of, part_of, view_of
from systolith.compiler.schedule import Schedule
from systolith.graph.ir import Operator
from systolith.graph.movement import origins
from systolith.graph.record import Channels
from systolith.graph.record import Placement as Kind

__all__ = ["Placement", "owner_of", "place_tensors"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where tensors that the accelerator reads or writes lie, relative to each other.

    Attributes
    ----------
    schedule : :class:`~systolith.compiler.schedule.Schedule`
    regions : mapping
        The :class:`Region` of each tensor's first image, without its address.
    owners : mapping
        The tensor whose memory each tensor lies in: itself, or one that has an owner in turn.
    copied : set of :class:`int`
        Indices of operators whose results could lie where their operands do, but do not.
    """

    schedule: Schedule
    regions: Mapping[int, Region]
    owners: Mapping[int, int]
    copied: frozenset[int]

    def is_work(self, operator: Operator) -> bool:
        """Whether layers are needed for an operator of the accelerator."""
        view = operator.record.placement is Kind.VIEW
        return not view or operator.index in self.copied


def owner_of(owners: Mapping[int, int], tensor: int) -> int:
    """The tensor whose memory ``tensor`` lies in."""
    while owners[tensor] != tensor:
        tensor = owners[tensor]
    return tensor


def place_tensors(schedule: Schedule, word_bytes: int) -> Placement:
    """The :class:`Placement` of a schedule, in words of ``word_bytes``.

    Operands of a concatenation or a padding are written to their part of the result, unless
    something needs them elsewhere. What a movement gives stays where its operand lies if it is an
    image there. A reshaped tensor stays as it lies, if what reads it can take it so, or if it can
    be computed so.

    Raises :exc:`ValueError` for tensors of several images.
    """
    work = _Placer(schedule, word_bytes)
    for op in reversed(schedule.accelerated):
        if op.record.placement is Kind.JOINED:
            work.join(op)
    for op in schedule.accelerated:
        if op.record.placement is Kind.VIEW:
            work.view(op)
    return Placement(schedule=schedule, regions=work.regions, owners=work.owners,
                     copied=frozenset(work.copied))


class _Placer:
    """Regions and owners as they come about."""

    def __init__(self, schedule: Schedule, word_bytes: int) -> None:
        self.schedule, self.graph = schedule, schedule.graph
        tensors = {each for op in schedule.accelerated for each in (*op.inputs, *op.outputs)
                   if each >= 0 and self.graph.tensors[each].data is None}
        self.regions = {tensor: self._region(tensor, word_bytes)
                        for tensor in tensors - schedule.never_stored}
        self.owners = {tensor: tensor for tensor in self.regions}
        self.copied: list[int] = []
        self._readers = {tensor: schedule.readers(tensor) for tensor in self.regions}

    def _region(self, tensor: int, word_bytes: int) -> Region:
        check_batch(self.graph, [tensor])
        return image_of(self.graph.tensors[tensor].shape, word_bytes)

    def join(self, operator: Operator) -> None:
        """Put operands into the result where that does no harm."""
        made = {op.outputs[0]: op for op in self.schedule.accelerated
                if op.record.placement is not Kind.VIEW}
        joined = self.regions[operator.outputs[0]]
        for number, tensor in enumerate(operator.activations):
            if operator.inputs.count(tensor) > 1 or self.owners[tensor] != tensor:
                continue
            part = part_of(self.graph, operator, number, joined)
            others = [op for op in self._readers[tensor] if op is not operator]
            if (part is not None and self._can_write(tensor, made.get(tensor), part)
                    and all(self._takes(op, part) for op in others)):
                self.regions[tensor] = part
                self.owners[tensor] = operator.outputs[0]

    def _can_write(self, tensor: int, maker: Operator | None, region: Region) -> bool:
        """Whether an image can be written to a ``region`` of another one by what computes it, or,
        an input, by the host, which writes words in their order."""
        if maker is None:
            return tensor in self.graph.inputs and region.whole and not region.offset
        return region.even or not maker.record.writes_flat

    def _takes(self, operator: Operator, region: Region) -> bool:
        """Whether ``operator`` can read an image that lies in a ``region`` of another one."""
        record = operator.record
        if self.schedule.parts.on_host(operator) or record.placement is Kind.JOINED:
            return True
        if record.same_bytes(self.graph, operator):  # if it is copied, then pixel by pixel
            return region.even and not region.offset
        if record.moves is not None:
            return True
        if max(region.height, region.width) >= MOST and not region.whole:
            return False  # which is not read at once
        if region.offset:
            return self._sums_channels(operator)
        return region.whole or len(operator.activations) == 1  # which are read by the same steps

    def _sums_channels(self, operator: Operator) -> bool:
        """Whether ``operator`` sums over all channels, so that it can have weights of 0 for others
        in the same words."""
        record, x = operator.record, self.graph.activation(operator).shape
        return (record.planned and record.channels is Channels.WEIGHTED
                and self.graph.weights(operator).shape[-1] in {x[-1], math.prod(x)})

    def view(self, operator: Operator) -> None:
        """Let the result lie where the operand does, or the operand where the result does."""
        before, after = operator.activations[0], operator.outputs[0]
        x, y = self.regions[before], self.regions[after]
        found = None
        if operator.record.moves is not None:
            found = view_of(origins(self.graph, operator), x)
        if found is not None and all(self._takes(op, found) for op in self._readers[after]):
            self.regions[after] = found
        elif not operator.record.same_bytes(self.graph, operator):
            self.copied.append(operator.index)
            return
        elif x.whole and (x.filled, y.filled) == (x.channels, y.channels):
            self.regions[after] = replace(x, height=y.height, width=y.width, channels=y.channels,
                                          pixel_step=0, line_step=0)
        elif all(self._flat(op) for op in self._readers[after]):
            self.regions[after] = x
        elif self._spreads(before, x):
            self.regions[before] = y
        else:
            self.copied.append(operator.index)
            return
        self.owners[after] = before

    def _flat(self, operator: Operator) -> bool:
        """Whether ``operator`` takes bytes in their order, whatever pixels they belong to."""
        return (self.schedule.parts.on_host(operator)
                or operator.record.reads_flat(self.graph, operator))

    def _spreads(self, tensor: int, region: Region) -> bool:
        """Whether what computes ``tensor`` can give the pixels of what it is reshaped to: a fully
        connected layer has filters without weights for the bytes that fill up words."""
        made = next((op for op in self.schedule.accelerated if tensor in op.outputs), None)
        return (made is not None and made.record.writes_flat and len(self._readers[tensor]) == 1
                and region.height * region.width == 1)
