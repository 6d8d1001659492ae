# amaranth: UnusedElaboratable=no
"""Sums that take place in the convolution before them."""

import functools
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from boards.builds import up5k_build
from rtl.accelerator.control.descriptor import Kind, descriptor_of, descriptor_words
from rtl.accelerator.registers import OFFSET_BITS, Error, Register, Window
from systolith.cli.generate_docs import fields_of
from systolith.compiler import Segment, compile_graph, input_words
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.estimate import check
from systolith.compiler.fitting import small_build
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import int8, residual

BUILDS = {
    "8x8": small_build(8, 8),
    "3 of 5x3": small_build(5, 3, pixel_lanes=3),
    "2 of 4x4": small_build(4, 4, pixel_lanes=2),
    "4x4 serial": replace(small_build(4, 4), requantize=3, drain_lanes=1, output_register=False,
                          depth=256, buffer_bytes=2048),
    "single_memory": replace(up5k_build(), fused=True),
    "4x4 both": small_build(4, 4, rounding="both", weight_bytes=1 << 19),
}


@functools.cache
def simulated(build):
    return SimulatedAccelerator(BUILDS[build])


def sums(program):
    """The convolutions in which sums take place."""
    return [layer for before, layer in pairwise(program.layers) if before.kind == Kind.TABLE]


def exact(build, graph, rng, batch=1, within=12, share=50):
    """The program, after it gave what the golden models give in the cycles that are foretold, but
    for a ``share`` of them or so many ``within``."""
    accelerator, model = simulated(build), CycleModel(Machine.of(BUILDS[build]))
    program = compile_graph(graph, accelerator.params, batch=batch)
    accelerator.load(program)
    inputs = [int8(rng, (batch, *graph.tensors[index].shape[1:])) for index in graph.inputs]
    run, want = accelerator.run(*inputs), run_graph(graph, *inputs)
    for index in graph.outputs:
        np.testing.assert_array_equal(run.values[index], want[index])
        assert want[index].size < 50 or len(np.unique(want[index])) > 1
    if accelerator.params.single_memory:  # units wait for each other
        within = 150
    for layer, expected, cycles in zip(program.layers, model.layers(program.layers),
                                       run.layer_cycles, strict=True):
        assert abs(expected.cycles - cycles) <= max(within, cycles // share), layer.operator
    return program


@pytest.mark.parametrize("build", BUILDS)
def test_random_networks(build):
    seen, kinds = set(), set()
    for seed in range(14):
        rng = np.random.default_rng([31, seed])
        graph = residual(rng)
        try:
            program = exact(build, graph, rng, batch=1 + seed % 2)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {graph.operators}") from error
        seen |= {layer.fields["turned"] for layer in sums(program)}
        kinds |= {layer.operator.kind for layer in sums(program)}
    assert seen == {0, 1} and "CONV_2D" in kinds


def test_rounding_of_float32():
    """As onnxruntime adds; with range in place of activations."""
    count = 0
    for seed in range(10):
        rng = np.random.default_rng([31, seed])
        graph = residual(rng)
        graph = replace(graph, rounding="float32", operators=tuple(
            replace(op, attributes=replace(op.attributes, activation="NONE",
                                           range=graph.clamp(op)))
            for op in graph.operators))
        count += len(sums(exact("4x4 both", graph, rng)))
    assert count > 5


@pytest.mark.heavy
@pytest.mark.parametrize("build", BUILDS)
def test_many_random_networks(build):
    for seed in range(14, 200):
        rng = np.random.default_rng([31, seed])
        # Among so many there are layers of which little is at work for long.
        exact(build, residual(rng), rng, batch=1 + seed % 3, within=32, share=8)


def block(seed=3):
    """Two convolutions of an image, and their sum."""
    for trial in range(1000):
        graph = residual(np.random.default_rng([seed, trial]))
        kinds = [op.kind for op in graph.operators]
        if kinds == ["CONV_2D", "CONV_2D", "ADD"] and np.prod(
                graph.result(graph.operators[-1]).shape) > 400:
            return graph
    raise AssertionError("no such network")


@pytest.mark.parametrize("build", ["8x8", "4x4 serial"])
def test_memory_that_is_busy_changes_nothing_but_time(build):
    """The host takes the memory's cycles, at random, so that words come late."""
    graph, accelerator = block(), simulated(build)
    program = exact(build, graph, np.random.default_rng(1))
    assert sums(program)
    segment, = (step for step in program.steps if isinstance(step, Segment))
    tensor, = graph.inputs
    x = int8(np.random.default_rng(2), graph.tensors[tensor].shape)
    want = run_graph(graph, x)[graph.outputs[0]]
    alone = accelerator.read(Register.CYCLES)
    for share in (1, 0.8, 0.4):
        accelerator.write(Window.ACTIVATIONS, input_words(program, tensor, x),
                          program.regions[tensor].base)
        accelerator.command(Register.GO, segment.start)
        accelerator.sim.stall(5, share)
        accelerator.post_read(np.full(alone, Window.ACTIVATIONS << OFFSET_BITS))()
        accelerator.sim.stall(5, 1)
        accelerator.post_wait()
        assert accelerator.read(Register.CYCLES) > alone
        assert accelerator.read(Register.STATUS) & 0xffff == 0
        np.testing.assert_array_equal(accelerator.tensor(graph.outputs[0]), want)


def flipped(program, layer, path):
    """The program with another value in a field of a bit."""
    first = next(first for first, _, each in fields_of(descriptor_of(program.params))
                 if each == path)
    words = program.descriptors.copy()
    words[layer * descriptor_words(program.params) + first // 32] ^= np.uint32(1 << first % 32)
    return words


@pytest.mark.parametrize("kind, path, error", [
    (Kind.TABLE, "weights.used", Error.STALL), (Kind.TABLE, "params.used", Error.STALL),
    (Kind.CONV, "sum", Error.CONV)])
def test_what_lacks_a_table_stops(kind, path, error):
    """And the next run is exact."""
    graph, accelerator = block(), simulated("8x8")
    program = compile_graph(graph, accelerator.params)
    layer = next(n for n, each in enumerate(program.layers)
                 if each.kind == kind and not each.fields.get("sum"))
    accelerator.load(program)
    accelerator.write(Window.PROGRAM, flipped(program, layer, path)[:, None])
    assert accelerator.attempt() == error
    # Who takes the next layer's parameters leaves that one without.
    assert accelerator.read(Register.STATUS) >> 16 == layer + (path == "params.used")
    exact("8x8", graph, np.random.default_rng(1))


def test_the_larger_convolution_takes_the_sum():
    graph = block()
    program = compile_graph(graph, BUILDS["8x8"])
    layer, = sums(program)
    assert graph.operand(layer.operator, 1).shape[1:3] == (3, 3)
    assert program.layers[-1] is layer
    found = check(graph, BUILDS["8x8"])
    assert [each.where for each in found.operators] == [
        "accelerator", "accelerator", f"with operator {layer.operator.index}"]


def changed(graph, **changes):
    *rest, last = graph.operators
    return replace(graph, operators=(*rest, replace(last, **changes)))


def test_what_is_needed_elsewhere_is_added_apart():
    graph, params = block(), BUILDS["8x8"]
    first, second, total = graph.operators
    parts = [first.outputs[0], second.outputs[0]]
    # Of one convolution only the other's result may be the sum's.
    for part, other in (parts, parts[::-1]):
        layer, = sums(compile_graph(replace(graph, outputs=(*graph.outputs, part)), params)) or [
            None]
        assert layer is None or layer.operator.outputs[0] == other
    for apart in (replace(graph, outputs=(*graph.outputs, *parts)),
                  changed(graph, inputs=(parts[1], parts[1]))):
        program = compile_graph(apart, params)
        assert not sums(program) and program.layers[-1].kind == Kind.ADD
    assert not sums(compile_graph(graph, params, keep=True))
    with pytest.raises(ValueError, match="ADDITION"):
        compile_graph(graph, replace(params, addition=False))
