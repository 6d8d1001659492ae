"""Addresses of tensors: which live at a time, which replace others, and where each begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from systolith.compiler.layout.placement import Placement, owner_of
from systolith.compiler.layout.region import Region
from systolith.compiler.memory.allocation import Lifetime, allocate, lower_bound
from systolith.compiler.options import Options
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.plans import Plans
from systolith.graph.record import Locality

__all__ = ["Memory", "assign_addresses", "can_run_in_place"]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The activation memory of a program.

    Attributes
    ----------
    regions : mapping
        The :class:`Region` of each tensor's first image.
    pong : mapping
        Those of a second run, which the host prepares while the first is under way: the same ones
        but for what is there twice.
    owners : mapping
        As of :class:`~systolith.compiler.layout.placement.Placement`; results that replace operands
        are in their memory too.
    lifetimes : mapping
        By owner, the first and the last step of the schedule at which its memory is in use.
    words, least : :class:`int`
        Words in all, and the words that no allocation can do without.
    """

    regions: Mapping[int, Region]
    pong: Mapping[int, Region]
    owners: Mapping[int, int]
    lifetimes: Mapping[int, Lifetime]
    words: int
    least: int

    def __str__(self) -> str:
        lines = [f"memory, {self.words} words; {self.least} at the least"]
        for tensor, region in sorted(self.regions.items()):
            owner = owner_of(self.owners, tensor)
            where = ("steps {} to {}".format(*self.lifetimes[owner]) if owner == tensor
                     else f"in %{owner}")
            lines.append(f"  %{tensor:<5} at {region.base:>6} + {region.offset:<2} "
                         f"{region.height} x {region.width} x {region.channels}, "
                         f"{region.words} words, {where}")
        return "\n".join(lines)


def can_run_in_place(plans: Sequence[ConvPlan]) -> bool:
    """Whether a convolution has taken a line of its input before it writes that of its result: one
    layer alone can.

    Each word is taken once, and line by line. The taps of result ``y`` reach down to ``y`` if there
    is not more padding before than a kernel has lines; among them is line ``y`` itself if the
    padding is some number of dilated taps.
    """
    shape = plans[0].layer.shape
    before, dilation = shape.padding[0][0], shape.dilation[0]
    in_order = shape.stride == (1, 1) and before < shape.span(0) and before % dilation == 0
    return len(plans) == 1 and in_order


def assign_addresses(placement: Placement, plans: Plans, options: Options) -> Memory:
    """The :class:`Memory` of a program.

    The result of an operator that works word by word, or of a convolution that has taken each line
    before it writes there, replaces an operand that nothing needs any more. If ``double_buffered``,
    what the host reaches lies there twice, all the time.
    """
    work = _Lifetimes(placement, options.keep)
    ends = work.ends() if options.double_buffered else set()
    work.lifetimes |= dict.fromkeys(ends, (-1, len(placement.schedule.order)))
    sizes = {owner: plans.packed_words.get(owner, placement.regions[owner].words * options.batch)
             for owner in work.lifetimes}
    work.share(sizes, plans, keep=options.keep)
    # By run, the first or the second, and owner.
    keys = {(0, owner): sizes[owner] for owner in work.lifetimes}
    keys |= {(1, owner): sizes[owner] for owner in ends}
    lifetimes = {(run, owner): work.lifetimes[owner] for run, owner in keys}
    bases, words = allocate(keys, lifetimes)
    ping = {owner: bases[0, owner] for owner in work.lifetimes}
    pong = ping | {owner: bases[1, owner] for owner in ends}
    regions, pong_regions = ({tensor: region.at(those[owner_of(work.owners, tensor)])
                              for tensor, region in placement.regions.items()}
                             for those in (ping, pong))
    return Memory(regions=regions, pong=pong_regions, owners=work.owners, lifetimes=work.lifetimes,
                  words=words, least=lower_bound(keys, lifetimes))


class _Lifetimes:
    """Lifetimes of all memory by its owner, and owners as results come to replace operands."""

    def __init__(self, placement: Placement, keep: bool) -> None:
        self.placement, self.schedule = placement, placement.schedule
        self.owners = dict(placement.owners)
        self.lifetimes: dict[int, Lifetime] = {}
        regions, graph = set(placement.regions), self.schedule.graph
        end = len(self.schedule.order)
        for tensor in graph.inputs:
            if tensor in regions:
                self._alive(tensor, -1)
        for step, op in enumerate(self.schedule.order):
            for tensor in {*op.inputs, *op.outputs} & regions:
                self._alive(tensor, step)
        for tensor in placement.regions if keep else set(graph.outputs) & regions:
            self._alive(tensor, end)

    def _alive(self, tensor: int, step: int) -> None:
        owner = owner_of(self.owners, tensor)
        first, last = self.lifetimes.get(owner, (step, step))
        self.lifetimes[owner] = min(first, step), max(last, step)

    def ends(self) -> set[int]:
        """Owners of what the host writes or reads: inputs, outputs, and operands and results of
        its own operators."""
        graph = self.schedule.graph
        local = (op for op in self.schedule.order if self.schedule.parts.on_host(op))
        reached = {*graph.inputs, *graph.outputs, *(
            tensor for op in local for tensor in (*op.inputs, *op.outputs))}
        return {owner_of(self.owners, tensor)
                for tensor in reached & set(self.placement.regions)}

    def share(self, sizes: Mapping[int, int], plans: Plans, *, keep: bool) -> None:
        """Results in place of operands that end with the operator; but not of packed inputs, which
        lie in the order of their plan, if that is transposed."""
        regions = self.placement.regions
        for step, op in enumerate(self.schedule.order):
            result, planned = op.outputs[0], () if keep else plans.convolutions.get(op.index, ())
            in_place = op.record.locality is Locality.ELEMENT or (
                bool(planned) and can_run_in_place(planned))
            if not in_place or self.owners.get(result) != result:
                continue
            for tensor in op.inputs:
                if tensor not in regions or (tensor in plans.packed
                                             and plans.packed[tensor].transposed):
                    continue
                owner = owner_of(self.owners, tensor)
                if (self.lifetimes[owner][1] == step == self.lifetimes[result][0]
                        and sizes[owner] == sizes[result]
                        and regions[owner].alike(regions[tensor])
                        and regions[tensor].alike(regions[result])):
                    self.owners[result] = owner
                    self.lifetimes[owner] = (self.lifetimes[owner][0],
                                             self.lifetimes.pop(result)[1])
                    break
