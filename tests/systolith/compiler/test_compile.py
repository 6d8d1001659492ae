# amaranth: UnusedElaboratable=no
"""What the compiler makes of graphs: steps, layers, places, and what it refuses."""

import functools
import random
from dataclasses import replace

import numpy as np
import pytest

from rtl.accelerator.control.descriptor import Kind
from systolith.compiler import Segment, compile_graph
from systolith.compiler.fitting import fit, small_build
from systolith.compiler.memory.allocation import allocate, lower_bound
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import Chain, int8, network

NONE = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(8, 8))


def runs(graph, seed=0, **options):
    """The program, after it gave what the golden models give."""
    simulated, rng = accelerator(), np.random.default_rng(seed)
    program = compile_graph(graph, simulated.params, **options)
    simulated.load(program)
    images = options.get("batch", 1)
    inputs = [int8(rng, (images, *graph.tensors[index].shape[1:])) for index in graph.inputs]
    run, want = simulated.run(*inputs), run_graph(graph, *inputs)
    for index in graph.outputs:
        np.testing.assert_array_equal(run.values[index], want[index])
        assert want[index].size < 10 or len(np.unique(want[index])) > 6, "too few numbers"
    assert len(run.layer_cycles) == len(program.layers)
    return program


class Grown(Chain):
    """A chain from an image of a given shape, whose numbers stay all kinds of numbers."""

    def __init__(self, *shape, seed=0):
        super().__init__(np.random.default_rng(seed))
        self.tensors = []
        self.last = self.tensor((1, *shape), 0.05)

    def tensor(self, shape, scale, zero_point=None):
        return super().tensor(shape, scale, self.integer(-50, 50) if zero_point is None
                              else zero_point)

    def activation(self):
        return "NONE"

    def conv(self, filters, groups=1):
        *lines, channels = self.x.shape[1:]
        self.weighted("CONV_2D", (filters, 1, 1, channels // groups), 0, (1, *lines, filters),
                      **NONE)
        return self.last

    def join(self, *parts):
        shapes = [self.tensors[part].shape for part in parts]
        x = self.tensors[parts[0]]
        for part in parts:  # all in the numbers of the first
            self.tensors[part] = replace(self.tensors[part], scales=x.scales,
                                         zero_point=x.zero_point)
        self.append("CONCATENATION", parts, (*shapes[0][:-1], sum(each[-1] for each in shapes)),
                    x.scale, x.zero_point)
        return self.last


def layers_of(program, kind):
    return [layer for layer in program.layers if layer.operator.kind == kind]


def test_host_operators_divide_the_program():
    grown = Grown(4, 4, 6)
    grown.conv(5)
    grown.softmax()
    grown.conv(7)
    grown.softmax()
    program = runs(grown.graph(), batch=2)
    assert [isinstance(step, Segment) for step in program.steps] == [True, False, True, False]
    assert [op.kind for op in program.rest] == ["SOFTMAX"] * 2


def test_host_operators_wait_for_all_that_can_run_before():
    grown = Grown(4, 4, 6)
    start = grown.last
    grown.softmax()
    soft = grown.last
    grown.last = start
    grown.conv(6)
    grown.append("ADD", [soft, grown.last], (1, 4, 4, 6), 0.1, activation="NONE")
    program = runs(grown.graph())
    assert [isinstance(step, Segment) for step in program.steps] == [True, False, True]


@pytest.mark.parametrize("pads", [[0, 0], [2, 0], [0, 1]])
def test_images_keep_their_padding_apart(pads):
    """A 1x1 convolution that pads lines must not take several images for one."""
    grown = Grown(4, 4, 6)
    x, start = grown.x, grown.last
    pads = np.array([[0, 0], pads, [1, 1], [0, 0]], np.int32)
    grown.append("PAD", [start, grown.constant(pads, ())],
                 tuple((np.array(x.shape) + pads.sum(axis=1)).tolist()), x.scale, x.zero_point,
                 padding=tuple(map(tuple, pads.tolist())))
    grown.conv(5)
    program = runs(grown.graph(), batch=3)
    assert len(program.layers) == (3 if pads[1].any() else 1)


@pytest.mark.parametrize("shape", [(1, 1, 5000, 2), (1, 5000, 1, 2), (1, 1, 1, 5000)])
def test_tensors_that_are_longer_than_loops(shape):
    tensors = [Tensor(name=name, shape=shape, scales=(0.1,)) for name in ("x", "y")]
    graph = Graph(tensors=tuple(tensors), inputs=(0,), outputs=(1,), operators=(
        make_operator("MAX_POOL_2D", [0], [1], {"kernel": (1, 1), "stride": (1, 1), "padding": (
            (0, 0), (0, 0))}, 3),))
    with pytest.raises(ValueError, match=r"^operator 3 \(MAX_POOL_2D\): it is more than a "
                                         "descriptor can say, of up to 4095 lines, pixels or "
                                         "channels: "):
        compile_graph(graph, small_build(4, 4))


def test_large_windows_are_left_to_the_host():
    grown = Grown(40, 30, 3)
    start = grown.last
    grown.mean()
    outputs = [grown.last]
    for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        grown.last = start
        grown.pool(kind, kernel=(40, 29))
        outputs.append(grown.last)
    program = runs(replace(grown.graph(), outputs=tuple(outputs)))
    assert len(program.rest) == 3 and program.layers == ()


@pytest.mark.parametrize("channels", [(8, 8), (4, 12), (3, 5), (7, 1, 9)])
def test_operands_are_written_to_their_channels(channels):
    grown = Grown(5, 4, 6)
    start, parts = grown.last, []
    for count in channels:
        grown.last = start
        parts.append(grown.conv(count))
    grown.join(*parts)
    grown.conv(3)
    assert layers_of(runs(grown.graph()), "CONCATENATION") == []


def test_operands_are_copied_where_they_must_be():
    grown = Grown(5, 4, 6)
    start = grown.last
    first, second = grown.conv(3), grown.conv(5)
    fused_into = grown.join(start, first, second, second)  # an input, and one that comes twice
    again = grown.join(fused_into, first)                  # one that another result has already
    grown.conv(4)
    program = runs(replace(grown.graph(), outputs=(grown.last, first, again)))
    assert 3 <= len(layers_of(program, "CONCATENATION")) <= 5


@pytest.mark.parametrize("shape", [(4, 6, 8), (3, 4, 12), (1, 9, 16), (9, 16, 1), (6, 6, 4)])
def test_reshaped_tensors_are_read_by_anything(shape):
    for channels in (4, 8, 12, 3):
        height = int(np.prod(shape)) // channels // 4
        if height * 4 * channels != np.prod(shape):
            continue
        grown = Grown(*shape)
        grown.conv(shape[-1])  # the input itself would be written reshaped
        x = grown.x
        grown.append("RESHAPE", [grown.last], (1, height, 4, channels), x.scale, x.zero_point)
        grown.conv(5)
        runs(grown.graph())


def test_reshaping_for_a_connected_layer_is_no_work():
    grown = Grown(3, 3, 5)
    grown.conv(5)
    grown.append("RESHAPE", [grown.last], (1, 45), grown.x.scale, grown.x.zero_point)
    grown.weighted("FULLY_CONNECTED", (4, 45), 0, (1, 4))
    assert len(runs(grown.graph()).layers) == 2


@pytest.mark.parametrize("channels", [3, 8, 13])
@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"keep": True}])
@pytest.mark.parametrize("kept", [False, True])
def test_connected_layers_give_pixels(channels, options, kept):
    """What fills up words of a pixel is computed too; reshaping is no work then."""
    grown = Grown(9)
    count = 5 * 4 * channels
    grown.weighted("FULLY_CONNECTED", (count, 9), 0, (1, count))
    flat = grown.last
    grown.append("RESHAPE", [flat], (1, 5, 4, channels), grown.x.scale, grown.x.zero_point)
    grown.conv(7)
    outputs = (flat, grown.last) if kept else (grown.last,)
    program = runs(replace(grown.graph(), outputs=outputs), **options)
    assert not layers_of(program, "RESHAPE")


def test_connected_layers_give_what_others_read():
    """Numbers that follow each other: so they are moved to their pixels."""
    grown = Grown(9)
    grown.weighted("FULLY_CONNECTED", (5 * 4 * 3, 9), 0, (1, 5 * 4 * 3))
    flat = grown.last
    grown.weighted("FULLY_CONNECTED", (7, 5 * 4 * 3), 0, (1, 7))
    other = grown.last
    x = grown.tensors[flat]
    grown.append("RESHAPE", [flat], (1, 5, 4, 3), x.scale, x.zero_point)
    grown.conv(7)
    program = runs(replace(grown.graph(), outputs=(other, grown.last)))
    assert layers_of(program, "RESHAPE")


def test_connected_layers_of_many_inputs_and_of_pixels():
    grown = Grown(9, 10, 16)
    grown.weighted("FULLY_CONNECTED", (24, 16), 0, (1, 9, 10, 24))
    grown.weighted("FULLY_CONNECTED", (6, 9 * 10 * 24), 0, (1, 6))
    runs(grown.graph(), batch=2)


@pytest.mark.parametrize("channels, groups", [(6, 2), (9, 3), (20, 5), (12, 12), (10, 10)])
def test_groups_that_do_not_fill_words(channels, groups):
    grown = Grown(5, 4, channels)
    grown.conv(3 * groups, groups)
    runs(grown.graph())


@pytest.mark.parametrize("seed", range(4))
def test_transposed_convolutions_multiply_no_zeros(seed):
    grown = Grown(6, 5, 8, seed=seed)
    for _ in range(2):
        grown.transpose_conv()
    graph = grown.graph()
    program = runs(graph)
    for op in graph.operators:
        weights = graph.weights(op)
        y, stride = graph.result(op), op.attributes.stride
        taps = weights.data.size // np.prod(stride)
        macs = sum(layer.macs for layer in program.layers if layer.operator.index == op.index)
        # Each output meets the taps of one phase, about as many as there are in a stride.
        assert macs <= np.prod(y.shape[1:3]) * weights.data.size
        assert np.prod(stride) == 1 or taps == 0 or macs < 1.8 * np.prod(y.shape[1:3]) * max(
            taps, weights.shape[0] * weights.shape[3])


def test_sums_replace_an_operand():
    grown = Grown(8, 8, 32)
    first = grown.conv(32)
    second = grown.conv(32)
    grown.append("ADD", [first, second], (1, 8, 8, 32), 0.1, activation="NONE")
    program = runs(grown.graph())
    # The second convolution, whose drain has time, adds: its own result lies nowhere.
    assert second not in program.regions and program.regions[grown.last] == program.regions[first]
    kept = runs(grown.graph(), keep=True)
    assert kept.regions[grown.last] not in {kept.regions[first], kept.regions[second]}


def test_what_is_a_clamp_needs_no_table():
    grown = Grown(4, 4, 5)
    grown.relu6()
    grown.tanh()
    program = runs(grown.graph())
    assert [layer.kind for layer in program.layers] == [Kind.POOL, Kind.ADD]


def test_same_weights_are_stored_once():
    grown = Grown(4, 4, 5)
    grown.tanh()
    once = runs(grown.graph())
    grown.append("ADD", [grown.last] * 2, grown.x.shape, 1 / 64, activation="NONE")
    grown.tensors[grown.last] = replace(grown.tensors[grown.last], scales=(0.05,), zero_point=(
        grown.tensors[0].zero_point))
    grown.tanh()
    twice = runs(grown.graph())
    assert len(twice.weights) == len(once.weights) + 256


def test_allocation_needs_no_more_than_is_alive():
    """In random networks; in random lifetimes hardly more."""
    for seed in range(40):
        graph = network(np.random.default_rng([7, seed]))
        program = compile_graph(graph, fit(graph, small_build(8, 8)))
        assert program.needs["activation_bytes"] == program.least_activations
    rng, excess = random.Random(3), 0
    for _ in range(30):
        begins = {n: rng.randrange(20) for n in range(25)}
        lifetimes = {n: (begin, begin + rng.randrange(6)) for n, begin in begins.items()}
        sizes = {n: rng.randrange(1, 100) for n in begins}
        bases, need = allocate(sizes, lifetimes)
        for n, (begin, end) in lifetimes.items():
            for other in range(n):
                apart = lifetimes[other][1] < begin or end < lifetimes[other][0]
                assert apart or bases[n] + sizes[n] <= bases[other] or (
                    bases[other] + sizes[other] <= bases[n])
        least = lower_bound(sizes, lifetimes)
        assert need >= least
        excess = max(excess, need / least - 1)
    assert excess < 0.1


def test_images_that_are_too_many_or_too_few():
    graph = Grown(4, 4, 5)
    graph.conv(3)
    graph = graph.graph()
    with pytest.raises(ValueError, match=r"^batch must be between 1 and \d+, not 0$"):
        compile_graph(graph, small_build(8, 8), batch=0)
    simulated = accelerator()
    simulated.load(compile_graph(graph, simulated.params, batch=2))
    with pytest.raises(ValueError, match=r"^the program takes 2 images at a time, not 1$"):
        simulated.run(np.zeros((1, 4, 4, 5), np.int8))


def wide(kernel):
    grown = Grown(40, 40, 2)
    grown.weighted("CONV_2D", (3, *kernel, 2), 0, (1, 41 - kernel[0], 41 - kernel[1], 3), **NONE)
    return grown.graph()


def padded():
    grown = Grown(2, 3, 4, 5)
    pads = np.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]], np.int32)
    grown.append("PAD", [grown.last, grown.constant(pads, ())], (1, 2, 4, 4, 5), 0.05,
                 grown.x.zero_point, padding=tuple(map(tuple, pads.tolist())))
    return grown.graph()


def test_the_host_pads_further_axes():
    operator, = compile_graph(padded(), small_build(8, 8)).rest
    assert operator.kind == "PAD"


def connected():
    grown = Grown(4133, 1, 8)
    grown.weighted("FULLY_CONNECTED", (2, 4133 * 8), 0, (1, 2))
    return grown.graph()


@pytest.mark.parametrize("graph, reason", [
    (wide((33, 1)), "operator 0 (CONV_2D): kernel height must be between 1 and 32, not 33"),
    (connected(), ("operator 0 (FULLY_CONNECTED): windows of 33064 bytes are not of 1 to 32 lines "
     "of 1 to 32 equal parts of 1024 at the most")),
    (Graph(**{**vars(wide((1, 1))), "rounding": "float32"}), ("the network needs the rounding "
     "float32, but the build has tflm alone: build it with that, or with both")),
])
def test_refuses(graph, reason):
    with pytest.raises(ValueError) as caught:
        compile_graph(graph, small_build(8, 8))
    assert str(caught.value) == reason


@pytest.mark.parametrize("dilation, above, shares", [(1, 1, True), (1, 0, True), (2, 2, True),
                                                     (2, 1, False), (3, 4, False)])
def test_convolutions_write_over_their_inputs(dilation, above, shares):
    """Band by band, where no band can meet lines that are still to come."""
    grown = Grown(40, 30, 16)
    grown.conv(16)
    results = [grown.last]
    for kind, shape, axis in (("CONV_2D", (12, 3, 3, 16), 0),
                              ("DEPTHWISE_CONV_2D", (1, 3, 3, 12), 3)):
        grown.weighted(kind, shape, axis, (1, 40, 30, 12), stride=(1, 1),
                       dilation=(dilation, dilation), padding=((above, 2 * dilation - above),) * 2)
        results.append(grown.last)
    program = runs(grown.graph())
    assert max(len(layer.plan.bands) for layer in program.layers) > 1
    first, second, third = (program.regions[tensor].base for tensor in results)
    assert [first == second, second == third] == [shares, shares]


def test_turned_images():
    """The first one lies in the order of its plan, which its result must not replace."""
    grown = Grown(25, 5, 16, seed=12)
    regions = [grown.last]
    for filters, kernel, step in ((16, 3, 1), (16, 3, 1), (32, 1, 3)):
        grown.weighted("CONV_2D", (filters, kernel, kernel, 16), 0, (1, 25, -(-5 // step), filters),
                       stride=(1, step), dilation=(1, 1), padding=((kernel // 2,) * 2,) * 2)
        regions.append(grown.last)
    program = runs(grown.graph())
    assert all(layer.plan.transposed for layer in program.layers)
    first, second, third, _ = (program.regions[tensor].base for tensor in regions)
    assert first != second == third


def test_what_others_need_is_not_written_over():
    grown = Grown(40, 30, 16)
    kept = grown.conv(16)
    grown.weighted("CONV_2D", (16, 3, 3, 16), 0, (1, 40, 30, 16), **NONE | {
        "padding": ((1, 1), (1, 1))})
    program = runs(Graph(tensors=tuple(grown.tensors), operators=tuple(grown.operators),
                         inputs=(0,), outputs=(kept, grown.last)))
    assert program.regions[kept].base != program.regions[grown.last].base
