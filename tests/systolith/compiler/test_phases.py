# amaranth: UnusedElaboratable=no
"""The phases of the compiler, each by what it returns."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from systolith.compiler.compile import run_phases
from systolith.compiler.fitting import small_build
from systolith.compiler.layout.placement import owner_of, place_tensors
from systolith.compiler.lowering.lower import layers_of
from systolith.compiler.options import Options
from systolith.compiler.partition import partition
from systolith.compiler.schedule import schedule
from systolith.frontends.tflite import read_tflite
from systolith.graph.ir import make_operator
from systolith.graph.record import UnknownOperator
from systolith.zoo.digits import model_bytes
from systolith.zoo.random import Chain

DIGITS = read_tflite(model_bytes())
BUILD = small_build(4, 4)


class Grown(Chain):
    """A network that begins with an image of a size of its own."""

    def __init__(self, *size, seed=1):
        super().__init__(np.random.default_rng(seed))
        self.tensors = []
        self.last = self.tensor((1, *size), 0.05)

    def pointwise(self, filters):
        """A 1x1 convolution with so many filters; the index of its result."""
        _, height, width, channels = self.x.shape
        self.weighted("CONV_2D", (filters, 1, 1, channels), 0, (1, height, width, filters),
                      stride=(1, 1), dilation=(1, 1), padding=((0, 0), (0, 0)))
        return self.last


def placed(graph):
    return place_tensors(schedule(graph, partition(graph)), BUILD.word_bytes)


def test_partition_gives_reasons():
    parts = partition(DIGITS)
    assert dict(parts.host) == {8: "the accelerator has no layers for it"}
    assert [parts.on_host(op) for op in DIGITS.operators] == [False] * 8 + [True]
    grown = Grown(40, 40, 3)
    grown.append("MEAN", [grown.last], (1, 3), 0.05)
    assert dict(partition(grown.graph()).host) == {
        0: "it goes over 1600 pixels, more than 1024"}


def test_schedule_leaves_the_accelerator_late():
    """Two branches, one of which the host begins: both of the accelerator's come first."""
    grown = Grown(2, 2, 4)
    start = grown.last
    grown.append("SOFTMAX", [start], (1, 2, 2, 4), 1 / 256, -128, beta=1.0)
    grown.last = start
    first = grown.pointwise(4)
    grown.pointwise(4)
    graph = replace(grown.graph(), outputs=(1, grown.last))
    planned = schedule(graph, partition(graph))
    assert [op.kind for op in planned.order] == ["CONV_2D", "CONV_2D", "SOFTMAX"]
    assert [op.kind for op in planned.accelerated] == ["CONV_2D", "CONV_2D"]
    assert [op.index for op in planned.readers(first)] == [2]
    assert str(planned).splitlines()[-1].endswith("host: the accelerator has no layers for it")


def test_parts_of_a_concatenation_lie_in_it():
    grown = Grown(2, 2, 4)
    start = grown.last
    parts = []
    for filters in (4, 8):
        grown.last = start
        parts.append(grown.pointwise(filters))
        grown.tensors[parts[-1]] = replace(grown.x, scales=(0.1,), zero_point=0)
    grown.append("CONCATENATION", parts, (1, 2, 2, 12), 0.1, 0)
    layout = placed(grown.graph())
    assert [owner_of(layout.owners, part) for part in parts] == [grown.last] * 2
    whole = layout.regions[grown.last]
    assert [layout.regions[part] for part in parts] == [whole.slice(0, 4), whole.slice(4, 8)]


@pytest.mark.parametrize("shape, copied", [((1, 4, 1, 8), False), ((1, 1, 4, 8), False),
                                           ((1, 2, 4, 4), False), ((1, 2, 8, 2), True)])
def test_reshaped_tensors_stay_if_they_can(shape, copied):
    grown = Grown(2, 2, 4)
    x = grown.pointwise(8)
    grown.append("RESHAPE", [x], shape, grown.x.scale, grown.x.zero_point)
    grown.pointwise(3)
    layout = placed(grown.graph())
    reshape = layout.schedule.order[1]
    assert layout.is_work(reshape) == copied == (reshape.index in layout.copied)
    assert (owner_of(layout.owners, reshape.outputs[0]) == x) != copied


def test_images_of_several_are_refused():
    x = replace(DIGITS.tensors[0], shape=(2, 8, 8, 1))
    graph = replace(DIGITS, tensors=(x, replace(x, name="y")), outputs=(1,), operators=(
        make_operator("RELU6", (0,), (1,)),))
    with pytest.raises(ValueError, match=r"^tensor 0 \(image\) has the shape \(2, 8, 8, 1\); "):
        placed(graph)


def test_memory_is_shared_in_time():
    done = run_phases(DIGITS, BUILD, Options())
    memory = done.memory
    assert memory.words == memory.least and memory.pong == memory.regions
    assert owner_of(memory.owners, 13) == 6  # the sum replaces its operand
    first, last = memory.lifetimes[0]
    assert (first, last) == (-1, 0)
    assert str(memory).startswith(f"memory, {memory.words} words; {memory.least} at the least\n")


def test_memory_of_what_is_kept():
    kept = run_phases(DIGITS, BUILD, Options(keep=True)).memory
    ends = {kept.lifetimes[owner_of(kept.owners, tensor)][1] for tensor in kept.regions}
    assert ends == {len(DIGITS.operators)}
    assert len({region.base for region in kept.regions.values()}) == len(kept.lifetimes)


def test_memory_that_is_double_buffered():
    graph = replace(DIGITS, operators=DIGITS.operators[:-1], outputs=(18,))
    done = run_phases(graph, BUILD, Options(double_buffered=True))
    memory = done.memory
    moved = {tensor for tensor in memory.regions
             if memory.regions[tensor] != memory.pong[tensor]}
    assert moved >= {0, 18} and not moved & {3, 9}
    assert len(done.pong.layers) == len(done.lowered.layers)


def test_records_are_frozen():
    done = run_phases(DIGITS, BUILD, Options())
    for record in (done, done.schedule, done.schedule.parts, done.placement, done.plans,
                   done.memory, done.lowered, done.content, done.options):
        with pytest.raises(FrozenInstanceError):
            record.graph = None


@pytest.mark.parametrize("options, message", [
    ({"batch": 0}, "^batch must be between 1 and 4096, not 0$"),
    ({"keep": True, "double_buffered": True}, "^runs that keep all tensors cannot overlap$"),
])
def test_options_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_layers_of_an_operator_of_the_host():
    with pytest.raises(UnknownOperator, match=r"^operator 8 \(SOFTMAX\) has no layers"):
        layers_of(None, DIGITS.operators[-1])
