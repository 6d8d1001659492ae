"""Passes over graphs, each on its own: what they change, and that no byte of a result does."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from systolith import Session
from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.compiler.passes import (
    absorb_input_reshapes,
    fold_constants,
    fold_movements,
    fuse_activations,
    fuse_dilation,
    fuse_padding,
    merge_movements,
    optimise,
    remove_dead_channels,
    remove_dead_operators,
    sink_movements,
)
from systolith.graph.attributes import Attributes
from systolith.graph.golden import result_like
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.graph.record import Channels, OperatorRecord, Role, records
from systolith.graph.verify import verify
from systolith.zoo.random import Chain, int8, moving, network, with_zeros

PASSES = [fold_constants, fold_movements, fuse_dilation, fuse_padding, merge_movements,
          sink_movements, fuse_activations, remove_dead_channels, remove_dead_operators, optimise]


def kinds(graph):
    return [op.kind for op in graph.operators]


def same_results(before, after, seed=0):
    """Fail unless both graphs give the same results, which do not all saturate."""
    assert len(before.inputs) == len(after.inputs) and before.outputs == after.outputs
    rng = np.random.default_rng(seed)
    inputs = [int8(rng, (3, *before.tensors[index].shape[1:])) for index in before.inputs]
    want, got = run_graph(before, *inputs), run_graph(after, *(
        x.reshape(3, *after.tensors[index].shape[1:])
        for index, x in zip(after.inputs, inputs, strict=True)))
    for index in before.outputs:
        np.testing.assert_array_equal(got[index], want[index])
    return np.ptp(want[before.outputs[0]].astype(int)) > 10


@pytest.mark.parametrize("change", PASSES)
def test_random_networks(change):
    changed = told = 0
    for seed in range(120):
        rng = np.random.default_rng([11, seed])
        graph = with_zeros(network(rng), rng)
        after = change(graph)
        told += same_results(graph, after, seed)
        changed += after.operators != graph.operators
    assert told > 60
    assert changed >= {sink_movements: 0, fold_constants: 0, fold_movements: 0, fuse_dilation: 0,
                       merge_movements: 1, remove_dead_operators: 0,
                       fuse_padding: 3, fuse_activations: 3,
                       remove_dead_channels: 8}.get(change, 12)


def chain(seed=1):
    return Chain(np.random.default_rng(seed))


def reshaped(*sizes, outputs=None):
    """A network that reshapes its input to lines and pixels of these ``sizes`` in turn."""
    grown = chain()
    grown.tensors = []
    grown.last = grown.tensor((1, math.prod(sizes[0])), 0.05)
    for size in sizes:
        grown.append("RESHAPE", [grown.last], (1, *size), grown.x.scale, grown.x.zero_point)
    grown.conv()
    return replace(grown.graph(), outputs=outputs or (grown.last,))


def test_inputs_come_as_they_are_reshaped():
    before = reshaped((8, 6, 1), (4, 6, 2))
    after = absorb_input_reshapes(before)
    assert kinds(after) == ["CONV_2D"] and after.tensors[after.inputs[0]].shape == (1, 4, 6, 2)
    x, y = int8(np.random.default_rng(1), (3, 48)), before.outputs[0]
    np.testing.assert_array_equal(run_graph(after, x.reshape(3, 4, 6, 2))[y],
                                  run_graph(before, x)[y])


@pytest.mark.parametrize("fields, attributes, kept", [
    ({}, {}, False), ({"zero_point": 3}, {}, True), ({"scales": (0.06,)}, {}, True),
    ({}, {"range": (-128, 126)}, True)])
def test_inputs_are_quantised_to_themselves(fields, attributes, kept):
    grown = chain()
    grown.append("QUANTIZE", [grown.last], grown.x.shape, grown.x.scale, grown.x.zero_point,
                 **attributes)
    grown.tensors[grown.last] = replace(grown.x, **fields)
    grown.conv()
    assert kinds(absorb_input_reshapes(grown.graph())) == ["QUANTIZE"] * kept + ["CONV_2D"]


def test_images_come_one_at_a_time():
    graph = chain().graph()
    x = replace(graph.tensors[0], shape=(2, 3))
    batch = replace(graph, tensors=(x, x), outputs=(1,), operators=(
        make_operator(kind="RELU6", inputs=(0,), outputs=(1,)),))
    with pytest.raises(ValueError, match="convert the model for a batch of 1$"):
        compile_graph(batch, small_build(4, 4))


@pytest.mark.parametrize("taken", [1, 2, 5, 8, 12])
def test_rows_of_other_lengths_than_pixels(taken):
    """A fully connected layer may take its numbers otherwise than pixel by pixel."""
    tensors = (Tensor(name="x", shape=(1, 5, 24), scales=(0.1,)),
               Tensor(name="r", shape=(1, 5, 24), scales=(0.1,)),
               Tensor(name="w", shape=(3, taken), scales=(0.1,), data=np.ones((3, taken), np.int8)),
               Tensor(name="y", shape=(120 // taken, 3), scales=(0.5,)))
    before = Graph(tensors=tensors, inputs=(0,), outputs=(3,), operators=(
        make_operator(kind="RELU6", inputs=(0,), outputs=(1,)),
        make_operator(kind="FULLY_CONNECTED", inputs=(1, 2), outputs=(3,), index=1,
                      attributes={"activation": "NONE"})))
    same_results(before, optimise(before))
    assert [op.kind for op in compile_graph(before, small_build(4, 4)).rest] == ["FULLY_CONNECTED"]


@pytest.mark.parametrize("output", [0, 1])
def test_inputs_stay_that_are_outputs(output):
    before = reshaped((8, 6, 1), outputs=(output,))
    assert kinds(before) == ["RESHAPE", "CONV_2D"]
    assert absorb_input_reshapes(before) == before


def test_inputs_stay_that_are_read_again():
    before = reshaped((8, 6, 1))
    again = replace(before.operators[0], outputs=(len(before.tensors),), index=2)
    before = replace(before, operators=(*before.operators, again),
                     tensors=(*before.tensors, before.tensors[again.inputs[0]]),
                     outputs=(*before.outputs, *again.outputs))
    assert absorb_input_reshapes(before) == before


def test_padding_goes_into_the_convolution():
    grown = chain()
    grown.pad()
    grown.conv()
    graph = grown.graph()
    after = remove_dead_operators(fuse_padding(graph))
    assert kinds(graph) == ["PAD", "CONV_2D"] and kinds(after) == ["CONV_2D"]
    same_results(graph, after)


def test_padding_of_other_numbers_stays():
    grown = chain()
    grown.pad()
    grown.tensors[grown.last] = replace(grown.x, zero_point=grown.x.zero_point ^ 1)
    grown.conv()
    graph = grown.graph()
    after = fuse_padding(graph)
    assert kinds(after) == ["PAD", "CONV_2D"] and after.operators == graph.operators


def test_padding_stays_where_something_else_needs_it():
    grown = chain()
    grown.pad()
    grown.conv()
    graph = replace(grown.graph(), outputs=(grown.operators[0].outputs[0], grown.last))
    after = remove_dead_operators(fuse_padding(graph))
    assert kinds(after) == ["PAD", "CONV_2D"] and after.operators[1].inputs[0] == 0
    same_results(graph, after)


@pytest.mark.parametrize("kept", [False, True])
def test_relu_goes_into_what_it_clamps(kept):
    grown = chain()
    grown.conv()
    grown.relu6()
    graph = grown.graph()
    if kept:  # for what it clamps is a result too
        graph = replace(graph, outputs=(graph.operators[0].outputs[0], grown.last))
    after = fuse_activations(graph)
    assert kinds(after) == (["CONV_2D", "RELU6"] if kept else ["CONV_2D"])
    same_results(graph, after)


def test_relu_of_another_scale_stays():
    grown = chain()
    grown.conv()
    grown.append("RELU", [grown.last], grown.x.shape, grown.x.scale * 2)
    graph = grown.graph()
    assert kinds(fuse_activations(graph)) == ["CONV_2D", "RELU"]


def layers(padding, rng, zero_bias=None):
    """A pointwise convolution with a dead channel, and a 3x3 one with ``padding`` that reads it."""
    grown = Chain(rng)
    grown.tensors = []
    grown.last = grown.tensor((1, 6, 6, 4), 0.02)
    grown.weighted("CONV_2D", (8, 1, 1, 4), 0, (1, 6, 6, 8), stride=(1, 1), dilation=(1, 1),
                   padding=((0, 0), (0, 0)))
    first, size = grown.operators[0], 4 + 2 * padding
    tensors = grown.tensors
    tensors[first.inputs[1]].data[[2, 5]] = 0
    if zero_bias is not None and len(first.inputs) > 2:
        tensors[first.inputs[2]].data[[2, 5]] = zero_bias
    grown.weighted("CONV_2D", (3, 3, 3, 8), 0, (1, size, size, 3), stride=(1, 1), dilation=(1, 1),
                   padding=((padding, padding),) * 2)
    return grown.graph()


def test_dead_channels():
    removed = 0
    for seed in range(20):
        for padding, bias in ((0, None), (1, 0), (1, 100_000)):
            graph = layers(padding, np.random.default_rng(seed), bias)
            after = remove_dead_channels(graph)
            same_results(graph, after, seed)
            middle = graph.operators[0].outputs[0]
            zero_point = graph.tensors[middle].zero_point
            x = run_graph(graph, np.zeros((1, 6, 6, 4), np.int8))[middle][0, 0, 0, [2, 5]]
            fewer = 8 - after.tensors[middle].shape[3]
            # Behind padding only what equals it is removed.
            assert fewer == (2 if padding == 0 else (x == zero_point).sum())
            removed += fewer
    assert removed > 40


def test_dead_channels_end_what_leads_to_them():
    """A depthwise channel without weights needs no input, so neither does what computes that."""
    for seed in range(10):
        grown = Chain(np.random.default_rng(seed))
        grown.tensors = []
        grown.last = grown.tensor((1, 6, 6, 4), 0.02)
        still = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}
        grown.weighted("CONV_2D", (8, 1, 1, 4), 0, (1, 6, 6, 8), **still)
        grown.weighted("DEPTHWISE_CONV_2D", (1, 3, 3, 8), 3, (1, 4, 4, 8), **still)
        grown.tensors[grown.operators[1].inputs[1]].data[..., [0, 3, 4]] = 0
        grown.weighted("CONV_2D", (5, 1, 1, 8), 0, (1, 4, 4, 5), **still)
        graph = grown.graph()
        after = remove_dead_channels(graph)
        same_results(graph, after, seed)
        assert [after.tensors[op.outputs[0]].shape[3] for op in after.operators] == [5, 5, 5]


@dataclass(frozen=True, kw_only=True)
class Flips(Attributes):
    """``flipped`` says of each channel whether its bits are inverted."""

    flipped: tuple[bool, ...]


def select(operator, keep):
    return Flips(flipped=tuple(np.array(operator.attributes.flipped)[keep].tolist()))


@pytest.mark.parametrize("told, left", [(None, 8), (select, 6)], ids=["not told", "told"])
def test_attributes_of_channels(monkeypatch, told, left):
    """Channels stay unless a record says what becomes of its attributes without them."""
    monkeypatch.setitem(records(), "FLIP", OperatorRecord(
        kind="FLIP", shape=result_like, attributes=Flips, channels=Channels.SAME, select=told,
        golden={"tflm": lambda graph, operator, x: np.where(operator.attributes.flipped, ~x, x)}))
    graph = layers(0, np.random.default_rng(1))
    first, second = graph.operators
    flip = make_operator("FLIP", first.outputs, [len(graph.tensors)], index=2, attributes={
        "flipped": (True, False, True, True, False, False, True, False)})
    before = verify(replace(
        graph, tensors=(*graph.tensors, graph.tensors[first.outputs[0]]),
        operators=(first, flip, replace(second, inputs=(*flip.outputs, *second.inputs[1:])))))
    after = verify(remove_dead_channels(before))
    assert same_results(before, after)
    assert [after.tensors[op.outputs[0]].shape[3] for op in after.operators] == [left, left, 3]


def test_layers_of_constants():
    """What a layer makes of a constant may be a result, beside layers with dead channels."""
    graph = layers(0, np.random.default_rng(1))
    first, second = graph.operators
    x, y = graph.tensors[first.inputs[0]], graph.tensors[first.outputs[0]]
    constant = replace(x, data=int8(np.random.default_rng(2), x.shape))
    count = len(graph.tensors)
    again = replace(first, inputs=(count, *first.inputs[1:]), outputs=(count + 1,), index=2)
    before = verify(replace(graph, tensors=(*graph.tensors, constant, y),
                            operators=(first, again, second),
                            outputs=(*graph.outputs, count + 1)))
    after = verify(optimise(before))
    assert after.tensors[first.outputs[0]].shape[3] == 6 and again in after.operators
    same_results(before, after)


def test_operators_without_activations_stay(monkeypatch):
    """One may give another number at each run."""
    monkeypatch.setitem(records(), "COUNT", OperatorRecord(
        kind="COUNT", operands=(Role.CONSTANT,), shape=result_like, golden={
            "tflm": lambda graph, operator: pytest.fail("it is no constant")}))
    grown = chain()
    count = make_operator("COUNT", [grown.constant(np.zeros(1, np.int32), ())],
                          [grown.tensor((1, 2), 0.1)], index=1)
    grown.relu6()
    graph = replace(grown.graph(), operators=(*grown.operators, count))
    for change in (absorb_input_reshapes, fold_constants, fuse_padding, fuse_activations,
                   remove_dead_channels):
        assert change(graph).operators == graph.operators


def test_a_kind_of_layer_for_each_operator(monkeypatch):
    """Which axis of its weights the channels are may depend on the operator."""
    record = records()["DEPTHWISE_CONV_2D"]
    monkeypatch.setitem(records(), record.kind, replace(
        record, channels=lambda graph, operator: Channels.DEPTHWISE))
    test_dead_channels_end_what_leads_to_them()


def test_constants_are_computed():
    grown = chain()
    grown.tensors[0] = replace(grown.tensors[0], data=int8(grown.rng, grown.tensors[0].shape))
    grown.relu6()
    grown.conv()
    constant = grown.last
    x = grown.last = grown.tensor(grown.x.shape, 0.05)
    grown.relu6()
    grown.append("ADD", [grown.last, constant], grown.x.shape, 0.1, activation="NONE")
    graph = replace(grown.graph(), inputs=(x,))
    after = fold_constants(graph)
    assert kinds(after) == ["RELU6", "ADD"]
    want = run_graph(replace(graph, operators=graph.operators[:2], inputs=(0,)),
                     graph.tensors[0].data)
    np.testing.assert_array_equal(after.tensors[constant].data, want[constant])


def split(sides, crops, block, rank, kind, relu):
    """A convolution, and perhaps a function, of every n-th line and pixel."""
    grown = chain(5)
    grown.tensors = []
    grown.last = grown.tensor((1, 9, 8, 3) if rank == 4 else (1, 9, 3), 0.05)

    def step(kind, **attributes):
        start, scale, zero_point = grown.last, grown.x.scale, grown.x.zero_point
        grown.last = grown.tensor((1,), scale, zero_point)
        operator = make_operator(kind, [start], [grown.last], attributes, len(grown.operators))
        shape = operator.record.shape(grown.graph(), operator)
        grown.tensors[grown.last] = replace(grown.x, shape=shape)
        grown.operators.append(operator)

    step("SPACE_TO_BATCH_ND", block=block, sides=sides)
    images, *size, channels = grown.x.shape
    if rank == 3:
        size = [1, *size] if kind == "line" else [*size, 1]
        grown.append("RESHAPE", [grown.last], (images, *size, channels), 0.05, grown.x.zero_point)
    kernel = [min(3, n) for n in size]
    sizes = [n - k + 1 + 2 * (k > 1) for n, k in zip(size, kernel, strict=True)]
    depthwise = kind == "depthwise"
    grown.weighted("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
                   (1, *kernel, 3) if depthwise else (4, *kernel, 3), 3 if depthwise else 0,
                   (images, *sizes, 3 if depthwise else 4), stride=(1, 1), dilation=(1, 1),
                   padding=tuple((int(k > 1),) * 2 for k in kernel))
    if relu:
        grown.leaky_relu()
    if rank == 3:
        shape = grown.x.shape
        left = [n for at, n in enumerate(shape) if at != (1 if kind == "line" else 2)]
        grown.append("RESHAPE", [grown.last], tuple(left), grown.x.scale, grown.x.zero_point)
    step("BATCH_TO_SPACE_ND", block=block, sides=crops)
    return grown.graph()


@pytest.mark.parametrize("sides, crops, block, rank, kind, relu, fuses", [
    (((2, 1), (1, 3)), ((0, 0), (0, 0)), (2, 3), 4, "conv", True, True),
    (((2, 1), (0, 0)), ((1, 2), (0, 0)), (3, 1), 4, "depthwise", False, True),
    (((0, 3),), ((2, 1),), (4,), 3, "line", True, True),
    (((1, 2),), ((0, 3),), (2,), 3, "column", False, True),
    (((0, 1), (0, 0)), ((0, 9), (0, 0)), (2, 1), 4, "conv", False, False),
], ids=["images", "cut off", "line", "column", "cut off too much"])
def test_splits_around_convolutions_are_dilations(sides, crops, block, rank, kind, relu, fuses):
    before = split(sides, crops, block, rank, kind, relu)
    after = optimise(before)
    left = {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} & set(kinds(after))
    assert not left if fuses else len(left) == 2
    assert same_results(before, after)
    program = compile_graph(before, small_build(4, 4))
    assert not program.rest if fuses else len(program.rest) == 3


@pytest.mark.parametrize("change", [merge_movements, fold_movements, optimise])
def test_networks_that_move(change):
    changed = 0
    for seed in range(120):
        graph = moving(np.random.default_rng([3, seed]))
        after = change(graph)
        same_results(graph, after, seed)
        changed += after.operators != graph.operators
    assert changed > 5


def in_other_order(*moves, classes=0):
    """What ``moves``, of kind and attributes, make of a convolution's result, and a layer that
    reads it."""
    grown = chain(9)
    grown.tensors, grown.activation = [], lambda: "NONE"
    grown.last = grown.tensor((1, 4, 6, 3), 0.05)
    window = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}
    grown.weighted("CONV_2D", (12, 1, 1, 3), 0, (1, 4, 6, 12), **window)
    for kind, attributes in moves:
        start, scale, zero_point = grown.last, grown.x.scale, grown.x.zero_point
        shape = attributes.pop("to", (1,))
        grown.last = grown.tensor(shape, scale, zero_point)
        operator = make_operator(kind, [start], [grown.last], attributes, len(grown.operators))
        shape = operator.record.shape(grown.graph(), operator)
        grown.tensors[grown.last] = replace(grown.x, shape=shape)
        grown.operators.append(operator)
    shape = grown.x.shape
    if classes:
        grown.weighted("FULLY_CONNECTED", (classes, math.prod(shape)), 0, (1, classes))
    else:
        grown.weighted("CONV_2D", (5, 2, 2, shape[3]), 0, (1, shape[1] - 1, shape[2] - 1, 5),
                       **window)
    return grown.graph()


def test_channels_are_read_in_their_order():
    """Between convolutions a shuffle of channels costs nothing."""
    before = in_other_order(("RESHAPE", {"to": (1, 4, 6, 3, 4)}),
                            ("TRANSPOSE", {"order": (0, 1, 2, 4, 3)}),
                            ("RESHAPE", {"to": (1, 4, 6, 12)}))
    merged = merge_movements(before)
    assert "MOVE" in kinds(merged) and kinds(optimise(before)) == ["CONV_2D", "CONV_2D"]
    assert same_results(before, optimise(before))


def test_channels_that_are_too_few_are_no_part_of_weights():
    """Of twelve channels five: weights of 0 for the others would be more work than a copy."""
    before = in_other_order(("GATHER", {"axis": 3, "indices": (7, 2, 9, 0, 4), "shape": (5,)}))
    assert kinds(optimise(before)) == ["CONV_2D", "GATHER", "CONV_2D"]


def test_images_are_flattened_in_their_order():
    """Channels first, as some frameworks flatten: the weights come in another order."""
    before = in_other_order(("TRANSPOSE", {"order": (0, 3, 1, 2)}), ("RESHAPE", {"to": (1, 288)}),
                            classes=12)
    after = optimise(before)
    assert kinds(after) == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert same_results(before, after)
    assert not compile_graph(before, small_build(4, 4)).rest


def test_what_leaves_all_in_order_is_a_reshape():
    """Axes of 1 in other places, and one operand that nothing is joined to."""
    before = in_other_order(("STRIDED_SLICE", {"slices": (None, (1, 1, 1), (2, 1, 1), None)}),
                            ("TRANSPOSE", {"order": (0, 3, 1, 2)}), ("PACK", {"axis": 1}),
                            classes=9)
    after = merge_movements(before)
    assert kinds(after)[2:] == ["RESHAPE", "RESHAPE", "FULLY_CONNECTED"]
    assert same_results(before, after) and not compile_graph(before, small_build(4, 4)).rest


@pytest.mark.parametrize("order, axes, kinds_after", [
    ((0, 3, 1, 2), [(3,), (2,)], ["CONV_2D", "MEAN", "MEAN", "RESHAPE"]),
    ((0, 3, 1, 2), [(2, 3)], ["CONV_2D", "MEAN", "RESHAPE"]),
    ((0, 2, 1, 3), [(1,)], ["CONV_2D", "MEAN", "RESHAPE"]),
    ((0, 3, 1, 2), [(3,)], ["CONV_2D", "MEAN", "MOVE"]),
], ids=["one by one", "at once", "turned", "columns"])
def test_means_of_what_was_transposed(order, axes, kinds_after):
    """Over the same axes of what it was before, on the accelerator."""
    grown = chain(9)
    grown.tensors, grown.activation = [], lambda: "NONE"
    grown.last = grown.tensor((1, 4, 6, 3), 0.05)
    grown.weighted("CONV_2D", (12, 1, 1, 3), 0, (1, 4, 6, 12), stride=(1, 1), dilation=(1, 1),
                   padding=((0, 0), (0, 0)))
    grown.tensors[grown.last] = replace(grown.x, zero_point=0)
    shape = tuple(grown.x.shape[axis] for axis in order)
    grown.append("TRANSPOSE", [grown.last], shape, grown.x.scale, grown.x.zero_point, order=order)
    for over in axes:
        shape = tuple(size for axis, size in enumerate(shape) if axis not in over)
        grown.append("MEAN", [grown.last], shape, grown.x.scale / 3, 0, axes=over)
    before = grown.graph()
    after = optimise(before)
    assert kinds(after) == kinds_after and same_results(before, after)
    build = small_build(4, 4)
    assert not compile_graph(before, build).rest
    x = int8(np.random.default_rng(2), (2, 4, 6, 3))
    np.testing.assert_array_equal(Session(before, build).run(x),
                                  run_graph(before, x)[before.outputs[0]])
