# amaranth: UnusedElaboratable=no
"""Whole layers through the compiled core: builds are few, layers many."""

import functools
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rtl.conv2d import Conv2d
from rtl.im2col import ConvShape
from rtl.params import ArrayParams
from sim.golden.conv import conv2d_acc, depthwise_conv2d_acc
from sim.golden.requantize import requantize
from systolith.compiler.cost.convolution import ConvModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.compiler.tiling.mappings import mappings_of
from systolith.runtime.simulated_cores import SimulatedConv2d
from tests.support.layers import image, random_layer

BUILDS = {
    "3x4": dict(array=ArrayParams(rows=3, cols=4), depth=48, buffer_bytes=2048),
    "4x4 with FIR": dict(array=ArrayParams(rows=4, cols=4, fir_rows=3), depth=64, drain_lanes=2,
                         requantize=2, output_register=True, buffer_bytes=4096),
    "4x8 with FIR": dict(array=ArrayParams(rows=4, cols=8, fir_rows=2), depth=50, drain_lanes=4,
                         requantize=3, buffer_bytes=2048),
    "5x3 in words of 16": dict(array=ArrayParams(rows=5, cols=3), depth=48, drain_lanes=3,
                               word_bytes=16, output_register=True, buffer_bytes=4096),
    "2 of 4x4 with FIR": dict(array=ArrayParams(rows=4, cols=4, fir_rows=3), pixel_lanes=2,
                              depth=48, drain_lanes=2, output_register=True, buffer_bytes=4096),
    "3 of 3x2": dict(array=ArrayParams(rows=3, cols=2), pixel_lanes=3, depth=50,
                     requantize=2, buffer_bytes=4096),
    "8x8": dict(array=ArrayParams(rows=8, cols=8, fir_rows=3), depth=512, drain_lanes=4,
                word_bytes=16, output_register=True, max_lines=1024, max_images=256),
}
SMALL = [build for build in BUILDS if build != "8x8"]


def core(build):
    return Conv2d(**({"max_lines": 64, "max_images": 8} | BUILDS[build]))


def machine(build):
    return Machine.of_core(core(build))


@functools.cache
def compiled(build):
    return SimulatedConv2d(core(build))


def random_images(rng, shape):
    x = rng.integers(-128, 128, (shape.images, shape.height, shape.width, shape.channels))
    x[rng.random(x.shape) < 0.1] = -128
    return x.astype(np.int8)


def golden(layer, images):
    geometry = dict(stride=layer.shape.stride, dilation=layer.shape.dilation,
                    padding=layer.shape.padding, input_zero_point=layer.input_zero_point)
    if layer.depthwise:
        weights = layer.weights.transpose(3, 1, 2, 0)
        acc = depthwise_conv2d_acc(images, weights, layer.bias, **geometry)
    else:
        acc = conv2d_acc(images, layer.weights, layer.bias, **geometry)
    return requantize(acc, 0, layer.multiplier, layer.shift, layer.zero_point, layer.low,
                      layer.high)


def check(build, shape, filters, seed, *, band=None, mapping=None, stalls=(0, 1.0)):
    """``mapping`` is the number of one that is possible, counted round."""
    rng = np.random.default_rng(seed)
    layer, images = random_layer(rng, shape, filters), random_images(rng, shape)
    if mapping is not None:
        mappings = mappings_of(compiled(build).machine, layer)
        mapping, _ = mappings[mapping % len(mappings)]
    out, report = compiled(build).run(layer, images, band=band, mapping=mapping, stalls=stalls)
    np.testing.assert_array_equal(out, golden(layer, images))
    assert report.cycles >= report.floor
    return report


#: Shapes and filters: every feature of the geometry, and the ends of its range.
LAYERS = {
    "one of everything": (image(1, 1, 1), 1),
    "1x1": (image(7, 5, 9), 10),
    "3x3": (image(6, 7, 5, (3, 3), 1), 7),
    "first layer, folded": (image(9, 8, 3, (3, 3), 1, stride=(2, 2)), 5),
    "first layer, too wide to fold": (image(6, 6, 5, (3, 2)), 4),
    "grey, all of it dilated down": (image(11, 6, 1, (4, 3), 1, dilation=(3, 1)), 6),
    "dilated across": (image(5, 12, 2, (2, 3), 2, dilation=(1, 4)), 5),
    "uneven padding": (image(4, 5, 6, (3, 4), padding=((0, 5), (3, 1))), 3),
    "nothing but padding at the corners": (image(2, 2, 2, (2, 2), 7), 2),
    "strides beyond the kernel": (image(13, 11, 4, (2, 2), stride=(5, 4)), 6),
    "16 lines": (image(18, 3, 2, (16, 1), 1), 3),
    "16 columns": (image(3, 20, 2, (1, 16), padding=((0, 0), (4, 0))), 3),
    "7x11": (image(9, 13, 5, (7, 11), padding=((2, 1), (0, 3))), 5),
    "groups": (image(5, 6, 12, (3, 2), 1, groups=3), 9),
    "groups of one filter": (image(5, 6, 8, (2, 2), groups=4), 4),
    "depthwise": (image(6, 7, 10, (3, 3), 1, groups=10), 10),
    "depthwise, three filters a channel": (image(5, 6, 5, (3, 2), 1, groups=5), 15),
    "depthwise, strides and a long kernel": (image(9, 20, 6, (2, 7), 3, groups=6,
                                                   stride=(1, 3)), 6),
    "depthwise, dilated": (image(9, 12, 6, (3, 3), 2, groups=6, dilation=(2, 2)), 12),
    "two pixels, the second of them late": (image(5, 1, 5, (3, 1), groups=5, stride=(2, 1),
                                                  dilation=(2, 1), padding=((0, 2), (0, 0))), 5),
    "depthwise, steps beyond what a FIR can count": (image(6, 8, 3, (1, 5), groups=3,
                                                           stride=(6, 20), dilation=(3, 4),
                                                           padding=((0, 0), (9, 15))), 3),
    "depthwise, steps that are never taken": (image(1, 4, 130, groups=130, stride=(10, 64)), 130),
    "batch": (image(5, 4, 6, (3, 3), 1, images=5), 5),
    "batch of single pixels": (image(1, 1, 20, images=8), 9),
    "depthwise batch": (image(4, 5, 9, (3, 3), 1, groups=9, images=3, stride=(2, 2)), 9),
}


@pytest.mark.parametrize("stalls", [1.0, 0.7, 0.3])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("build", SMALL)
def test_layers(build, layer, stalls):
    check(build, *LAYERS[layer], seed=len(layer), stalls=(len(layer), stalls))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("build", SMALL)
def test_every_way(build, layer):
    constants = random_layer(np.random.default_rng(0), *LAYERS[layer])
    for mapping, _ in enumerate(mappings_of(machine(build), constants)):
        check(build, *LAYERS[layer], seed=len(layer), mapping=mapping, stalls=(mapping, 0.8))


@pytest.mark.parametrize("build", SMALL)
def test_any_band(build):
    shape = image(7, 5, 6, (3, 3), 1, stride=(1, 2), images=2)
    for band in range(1, 8):
        check(build, shape, 6, seed=band, band=band, stalls=(band, 0.8))


@st.composite
def shapes(draw, params):
    def number(low, high):
        return draw(st.integers(low, high))

    kernel, dilation = [], []
    for _ in range(2):
        kernel.append(draw(st.integers(1, 5) | st.integers(1, 16)))
        dilation.append(number(1, max(1, min(4, 20 // kernel[-1]))))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple((number(0, 4), number(0, 4)) for _ in range(2))
    least = [max(1, span - sum(pads)) for span, pads in zip(spans, padding, strict=True)]
    kind = draw(st.sampled_from(["plain", "groups", "depthwise"]))
    groups = 1 if kind == "plain" else number(2, 11 if kind == "depthwise" else 3)
    shape = ConvShape(
        height=number(least[0], least[0] + 8), width=number(least[1], least[1] + 8),
        channels=groups * (1 if kind == "depthwise" else number(1, 14)), kernel=tuple(kernel),
        stride=(number(1, 4), number(1, 4)), dilation=tuple(dilation), padding=padding,
        groups=groups, images=number(1, 3))
    line = shape.line_words(params.word_bytes) * params.word_bytes
    lines = spans[0] + (params.pixel_lanes - 1) * shape.stride[0]
    assume(line * min(lines, shape.height) <= params.buffer_bytes)
    return shape


@pytest.mark.parametrize("build", SMALL)
@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.data())
def test_any_geometry(build, data):
    params = core(build).im2col_params
    shape = data.draw(shapes(params))
    filters = shape.groups * data.draw(st.integers(1, 3 if shape.groups > 1 else 11))
    check(build, shape, filters, data.draw(st.integers(0, 999)),
          mapping=data.draw(st.none() | st.integers(0, 5)),
          stalls=(data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.4, 0.8, 1.0]))))


@pytest.mark.parametrize("shape, filters, cycles", [
    (image(32, 32, 64, (3, 3), 1), 64, 589_926),
    (image(32, 32, 16, (3, 3), 1), 16, 36_966),
    (image(32, 32, 3, (3, 3), 1), 16, 8_308),
    (image(5, 25, 64, (3, 3), 1, groups=64), 64, 3_471),
    (image(25, 5, 64, (3, 3), 1, groups=64), 64, 3_471),
])
def test_cycles(shape, filters, cycles):
    assert check("8x8", shape, filters, seed=filters).cycles == cycles
    simulated = compiled("8x8")
    plan = ConvPlan(simulated.machine, random_layer(np.random.default_rng(filters), shape, filters))
    # The model counts from the start, the core from its first input on.
    assert 0 <= ConvModel(simulated.machine).run(plan.layer_config).cycles - cycles <= 12


#: Of passes of a single pixel, whose parameters come faster than the model has them.
PARAMS_ONLY = "depthwise, steps that are never taken"


@pytest.mark.parametrize("layer", [name for name, (shape, _) in LAYERS.items()
                                   if shape.images == 1 and name != PARAMS_ONLY])
@pytest.mark.parametrize("build", SMALL)
def test_model_of_cycles(build, layer):
    simulated, (shape, filters) = compiled(build), LAYERS[layer]
    report = check(build, shape, filters, seed=len(layer))
    plan = ConvPlan(simulated.machine,
                    random_layer(np.random.default_rng(len(layer)), shape, filters))
    more = ConvModel(simulated.machine).run(plan.layer_config).cycles - report.cycles
    assert 0 <= more <= max(12, report.cycles // 10)


def test_utilisation():
    report = check("8x8", image(32, 32, 64, (3, 3), 1), 64, seed=0)
    assert report.macs == 64 * 64 * 9 * 32 * 32 and report.products == 64
    assert report.utilisation > 0.999
    assert check("8x8", image(32, 32, 16, (3, 3), 1), 16, seed=0).utilisation > 0.99


def push(sim, plan, images):
    sim.push("config", {group: {name: np.array([value]) for name, value in fields.items()}
                        for group, fields in plan.config().items()})
    sim.push("i", plan.words(images))
    sim.push("weights", plan.weights())
    sim.push("params", plan.channel_params())


def test_layers_follow_one_another():
    """Configurations, words, weights and parameters of several layers queue up together."""
    simulated = compiled("4x4 with FIR")
    rng = np.random.default_rng(0)
    queued = []
    for name in "3x3", "depthwise", "one of everything", "batch", "first layer, folded":
        shape, filters = LAYERS[name]
        layer, images = random_layer(rng, shape, filters), random_images(rng, shape)
        queued.append((ConvPlan(simulated.machine, layer), layer, images))
    sim = simulated.sim
    sim.reset()
    sim.stall(7, 0.8)
    for plan, _, images in queued:
        push(sim, plan, images)
    sim.run({"o": sum(plan.beats for plan, *_ in queued), "config": len(queued)})
    beats = sim.pull("o")["data"]
    for plan, layer, images in queued:
        np.testing.assert_array_equal(plan.gather(beats[:plan.beats]), golden(layer, images))
        beats = beats[plan.beats:]
    assert not len(beats)


def test_counter_begins_anew_with_each_layer():
    simulated = compiled("4x4 with FIR")
    rng = np.random.default_rng(0)
    shape, filters = LAYERS["3x3"]
    layer, images = random_layer(rng, shape, filters), random_images(rng, shape)
    sim, plan = simulated.sim, ConvPlan(simulated.machine, layer)
    sim.reset()
    sim.stall(0, 1.0)
    for _ in range(3):
        push(sim, plan, images)
        sim.run({"o": plan.beats, "config": 1})
        (_, first, _), (_, _, last) = sim.record("i"), sim.record("o")
        assert sim.get("cycles") == last - first + 1
        sim.pull("o")


@pytest.mark.parametrize("changes, message", [
    ({"kernel": (33, 1)}, "kernel height must be between 1 and 32, not 33"),
    ({"kernel": (1, 0)}, "kernel width must be between 1 and 32, not 0"),
    ({"stride": (65, 1)}, "stride along the height must be between 1 and 64, not 65"),
    ({"dilation": (1, 65)}, "dilation along the width must be between 1 and 64, not 65"),
    ({"padding": ((0, 256), (0, 0))},
     "padding along the height must be between 0 and 255, not 256"),
    ({"channels": 1025}, "channels must be between 1 and 1024, not 1025"),
    ({"groups": 3}, "groups must divide the 4 channels, not be 3"),
    ({"kernel": (1, 5), "dilation": (1, 2)},
     "the kernel spans 9 pixels of width, but the padded image has only 8"),
])
def test_refuses_impossible_shapes(changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvShape(**({"height": 8, "width": 8, "channels": 4} | changes))
