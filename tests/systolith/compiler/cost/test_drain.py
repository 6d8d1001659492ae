"""Drains against plain loops over their beats."""

from dataclasses import replace

import pytest

from systolith.compiler.cost.drain import DrainTiming
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import small_build


def last_beat(timing, pixels):
    """The cycle of a drain's last beat, if its first one comes in cycle 0."""
    now = 0
    for group in range(timing.groups):
        begin = now
        now += (pixels - 1) * timing.beat
        if group == timing.groups - 1:
            return now
        if not timing.hidden:  # parameters come after the group's last beat
            now += max(timing.beat, timing.change)
        elif group < 2:        # two groups' are there
            now += timing.beat
        else:
            now = begin + max(pixels * timing.beat, timing.change)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("pixels", [1, 2, 7])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("beat, change", [(1, 0), (1, 4), (3, 8), (4, 2)])
def test_cycles(beat, change, groups, pixels, hidden):
    timing = DrainTiming(groups=groups, beat=beat, change=change, gap=4, hidden=hidden,
                         residual=False)
    assert timing.cycles(pixels) == last_beat(timing, pixels)


@pytest.mark.parametrize("requantize, short_acc, residual, beat, change, gap, hidden", [
    (1, 0, False, 1, 4, 5, True),    # a parameter a cycle, for each lane; the accumulators' lead
    (1, 0, True, 1, 4, 2, True),     # sums that are still to come fill the gap
    (3, 0, False, 3, 8, 8, False),   # the last step, and a cycle more
    (3, 1, False, 2, 7, 7, False),
    (3, 0, True, 3, 8, 3, False),
])
def test_timing_of_a_layer(requantize, short_acc, residual, beat, change, gap, hidden):
    machine = Machine.of(replace(small_build(8, 8), requantize=requantize))
    assert machine.drain_lanes == 4
    timing = DrainTiming.of(machine, beat=0, short_acc=short_acc, residual=residual)
    assert timing == DrainTiming(groups=2, beat=beat, change=change, gap=gap, hidden=hidden,
                                 residual=residual)


def test_beats_of_a_store_are_longer_than_those_of_the_requantizer():
    machine = Machine.of(small_build(8, 8))
    assert DrainTiming.of(machine, beat=4, short_acc=0, residual=False).beat == 4
