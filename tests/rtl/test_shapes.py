# amaranth: UnusedElaboratable=no
"""Networks of the shapes that people train: on the RTL they equal TensorFlow Lite Micro, in the
cycles that were foretold."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from boards.board import board_of
from systolith.compiler import compile_graph
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.estimate import check
from systolith.compiler.fitting import fit, shortages, small_build
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.references.tflm import Reference
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random.shapes import SHAPES

#: Large enough for all of them.
MEMORIES = {"weight_bytes": 1 << 19, "channels": 4096, "program_words": 1024}


@functools.cache
def model(name):
    data = write_tflite(SHAPES[name](np.random.default_rng(3)))
    return data, read_tflite(data)


@functools.cache
def accelerator(rows, cols):
    return SimulatedAccelerator(replace(small_build(rows, cols), **MEMORIES))


def run(name, rows, cols):
    data, graph = model(name)
    simulated = accelerator(rows, cols)
    program = compile_graph(graph, simulated.params)
    cycles = CycleModel(Machine.of(simulated.params))
    simulated.load(program)
    rng = np.random.default_rng(8)
    x = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape, np.int8)
    done, want = simulated.run(x), Reference(data).run(x)
    for index, value in zip(graph.outputs, want, strict=True):
        np.testing.assert_array_equal(done.values[index], value)
    for layer, expected, counted in zip(program.layers, cycles.layers(program.layers),
                                        done.layer_cycles, strict=True):
        assert abs(expected.cycles - counted) <= max(8, counted // 50), layer.operator


@pytest.mark.parametrize("name", SHAPES)
def test_equals_tflm(name):
    run(name, 8, 8)


@pytest.mark.heavy
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("shape", [(4, 4), (12, 16), (5, 3)])
def test_equals_tflm_on_other_arrays(shape, name):
    run(name, *shape)


@pytest.mark.parametrize("name", SHAPES)
def test_weights_in_sdram_have_room_for_all(name):
    assert shortages(model(name)[1], board_of("ulx3s-45f-sdram").params) == []


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("board", ["icebreaker", "ulx3s-25f", "ulx3s-85f"])
def test_boards_refuse_exactly(board, name):
    """What is short is short by that much: with so much more it fits."""
    board, (_, graph) = board_of(board), model(name)
    short = shortages(graph, board.params)
    if not short:
        compile_graph(graph, board.params)
        return
    with pytest.raises(ValueError, match="the network does not fit|in this build; the layer needs"):
        compile_graph(graph, board.params)
    found = check(graph, board.params)  # the host may do what is too large
    assert found.host and not found.short or (
        [each.name for each in found.short] == [each.name for each in short])
    larger = fit(graph, board.params)
    for each in short:
        assert getattr(larger, each.name) >= each.need > each.have == getattr(
            board.params, each.name)
    assert shortages(graph, larger) == []
