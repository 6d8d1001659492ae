"""Weights and lines of input at the rates of their memories."""

from dataclasses import replace

import pytest

from systolith.compiler.cost.arrivals import FREE, LineArrivals, WeightArrivals
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import small_build

MACHINE = Machine.of(small_build(4, 4))


def test_weights_come_a_row_at_a_time():
    machine = replace(MACHINE, weight_row_cycles=2.5, weight_rows_ahead=3, weight_latency=5)
    rows = WeightArrivals(machine, first=4, ahead=0)
    assert rows.cycle == 4 + 1 + 10 + 5
    assert [rows.after(tiles) for tiles in range(3)] == [20, 30, 40]
    rows.take(20)      # the next tile's are on their way
    assert rows.cycle == 30
    rows.take(100)     # three rows have waited
    assert rows.cycle == 100 + round(10 - 7.5)
    rows.take(110, 2)
    assert rows.cycle == round(102.5 + 20)


def test_no_more_weights_come_before_a_layer_than_can_wait():
    machine = replace(MACHINE, weight_row_cycles=2, weight_rows_ahead=3)
    assert [WeightArrivals(machine, first=4, ahead=ahead).cycle for ahead in (0, 4, 6, 50)] == [
        13, 9, 7, 7]


@pytest.fixture
def lines():
    machine = replace(MACHINE, im2col=replace(MACHINE.im2col, buffer_bytes=64))
    assert machine.im2col.words == 16
    return LineArrivals(machine, lines=5, line_words=6)


def test_lines_come_a_word_a_cycle(lines):
    first = MACHINE.input_latency + 5 + MACHINE.im2col_latency
    assert [lines.cycle(line) for line in (-1, 0, 1, 5)] == [0, first, first + 7, 0]
    lines.free(3, 100)
    assert lines.cycle_of_last(9) == lines.cycle(4)


def test_lines_wait_for_room(lines):
    """Two lines and four words more are in the buffer, until the first line is free."""
    lines.free(1, 100)
    room = 100 + FREE - 1 - MACHINE.output_register
    assert lines.cycle(2) == room + 1 + MACHINE.im2col_latency  # the last two words of six
    lines.free(3, 200)
    assert lines.cycle_of_last(4) > 200
    assert lines.end() == lines.cycle(4)


def test_words_come_slower_when_others_want_the_memory(lines):
    alone = lines.cycle(0)
    lines.share(lines.cycle(0) - MACHINE.im2col_latency + 1, 2)
    assert lines.shared
    assert lines.cycle(1) == alone + 1 + 12
