"""Sums and maxima of windows, whatever comes between their words."""

import numpy as np
import pytest

from rtl.accelerator.dma.activation_reader import DIMS
from rtl.accelerator.units.pool import Pool
from sim.streams import receive, send, simulate, stalls

WORD, LANES = 4, 2


def words_of(windows):
    """Each cell of windows, ``(cells, WORD)`` int8, as a word; the last of all ends all loops."""
    for number, window in enumerate(windows):
        for cell, values in enumerate(window):
            ends = cell == len(window) - 1
            over = (2 if ends else 0) | (1 << DIMS - 1 if ends and number == len(windows) - 1
                                         else 0)
            yield {"data": [int(value) for value in values], "over": over}


@pytest.mark.parametrize("maximum", [False, True])
@pytest.mark.parametrize("p_valid, p_ready", [(1.0, 1.0), (0.5, 1.0), (1.0, 0.3), (0.4, 0.4)])
def test_windows(maximum, p_valid, p_ready):
    rng = np.random.default_rng([71, maximum])
    windows = [rng.integers(-128, 128, (cells, WORD)) for cells in rng.integers(1, 9, 40)]
    windows += [np.full((cells, WORD), value) for value in (-128, 127) for cells in (1, 2, 9)]
    wanted = [window.max(axis=0) if maximum else window.sum(axis=0) for window in windows]
    dut = Pool(word_bytes=WORD, drain_lanes=LANES)

    async def producer(ctx):
        ctx.set(dut.maximum, maximum)
        await send(ctx, dut.i, list(words_of(windows)), stalls("send", p_valid))

    async def consumer(ctx):
        beats = await receive(ctx, dut.o, len(windows) * WORD // LANES, stalls("take", p_ready))
        got = np.array([list(beat.acc) for beat in beats]).reshape(-1, WORD)
        np.testing.assert_array_equal(got, wanted)
        assert [beat.last for beat in beats] == [0] * (len(beats) - 1) + [1]

    simulate(dut, producer, consumer, watch=[dut.i, dut.o])
