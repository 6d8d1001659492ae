"""How the sums of a pass leave the accumulators."""

from dataclasses import dataclass
from typing import Self

from systolith.compiler.cost.machine import Machine

__all__ = ["DrainTiming"]


@dataclass(frozen=True, kw_only=True)
class DrainTiming:
    """Beats of a layer's drains, and what comes between them.

    A drain has ``groups`` channel groups, in each of them a beat for every pixel, in ``beat``
    cycles. A group's parameters take ``change`` cycles, in which there are no beats but the first
    one, unless they are ``hidden``: then they come while the group before drains. ``gap`` is
    the least number of cycles from the last beat of a drain to the first one of the next.
    """

    groups: int
    beat: int
    change: int
    gap: int
    hidden: bool
    residual: bool  #: Beats pass the requantizer twice, to be added to what lies where they go.

    @classmethod
    def of(cls, machine: Machine, *, beat: int, short_acc: int, residual: bool) -> Self:
        """The timing of a layer whose beats take ``beat`` cycles, or as many as the requantizer
        takes, which is one less if all its sums are ``short_acc``."""
        rate = requantizer_cycles(machine, short_acc)
        beat = max(beat, rate)
        change = machine.drain_lanes * machine.param_cycles[short_acc]
        if rate > 1:  # the parameters of a serial requantizer stay until the last step is over
            change += rate + 1
            if residual:
                change = max(change, beat + 2)
        hidden = machine.params_ahead and rate == 1
        if residual:  # sums that are still to come fill most of the gap
            gap = beat + (rate == 1)
        else:
            gap = max(machine.accumulator_lead + 3, 0 if hidden else change)
        return cls(groups=machine.channel_groups, beat=beat, change=change, gap=gap, hidden=hidden,
                   residual=residual)

    def cycles(self, pixels: int) -> int:
        """From the first beat of a drain of so many ``pixels`` to its last."""
        last = (pixels - 1) * self.beat
        if not self.hidden:
            return (self.groups - 1) * (last + max(self.beat, self.change)) + last
        # Parameters of two groups are there when a drain begins.
        waits = max(self.groups - 3, 0)
        return ((self.groups - 1) * pixels * self.beat + last
                + waits * max(self.change - pixels * self.beat, 0))


def requantizer_cycles(machine: Machine, short_acc: int) -> int:
    """Cycles of a beat in the requantizer; one if there is none."""
    return max(machine.requantize, 1) - short_acc
