"""Layers with their constants."""

import re

import numpy as np
import pytest

from boards.builds import up5k_build
from rtl.im2col import ConvShape
from sim.golden.conv import conv2d_acc
from systolith.compiler.cost.machine import Machine
from systolith.compiler.fitting import small_build
from systolith.compiler.tiling.conv_layer import ConvLayer
from tests.support.layers import image, random_layer


@pytest.mark.parametrize("changes, message", [
    ({"weights": np.zeros((4, 3, 3, 2), np.int8)},
     "weights must be int8 of shape (4, 3, 3, 1), not int8 of shape (4, 3, 3, 2)"),
    ({"weights": np.zeros((4, 3, 3, 1))},
     "weights must be int8 of shape (4, 3, 3, 1), not float64 of shape (4, 3, 3, 1)"),
    ({"weights": np.zeros((3, 3, 3, 1), np.int8)}, "the 2 groups must divide the 3 filters"),
    ({"bias": np.zeros(3, int)},
     "bias must have an entry for each of the 4 filters, not the shape (3,)"),
    ({"shift": 7}, "shift must have an entry for each of the 4 filters, not the shape ()"),
])
def test_refuses_constants_that_do_not_match(changes, message):
    layer = random_layer(np.random.default_rng(0), image(5, 5, 2, (3, 3), groups=2), 4)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvLayer(**(vars(layer) | changes))


def sums(layer, images):
    """What the layer requantises, of images before they are exchanged."""
    shape = layer.shape
    return conv2d_acc(images, layer.weights, layer.bias, stride=shape.stride,
                      dilation=shape.dilation, padding=shape.padding,
                      input_zero_point=layer.input_zero_point)


def test_transposed_layer_computes_transposed_results():
    rng = np.random.default_rng(3)
    layer = random_layer(rng, image(6, 9, 2, (3, 2), stride=(2, 1), dilation=(1, 2),
                                    padding=((1, 0), (2, 1))), 4)
    images = rng.integers(-128, 128, (1, 6, 9, 2)).astype(np.int8)
    np.testing.assert_array_equal(sums(layer.transposed(), images.transpose(0, 2, 1, 3)),
                                  sums(layer, images).transpose(0, 2, 1, 3))


@pytest.mark.parametrize("bias, short, bits", [
    (349_398, 1, 8), (349_399, 0, 8), (-698_922, 1, 8), (-698_923, 0, 8),
    ((1 << 28) - 128, 0, 8), ((1 << 28) - 127, 0, 30), ((1 << 31) - 1, 0, 32)])
def test_sums_that_take_a_cycle_less(bias, short, bits):
    layer = ConvLayer(
        shape=ConvShape(height=1, width=1, channels=1), weights=np.ones((1, 1, 1, 1), np.int8),
        bias=np.array([bias]), multiplier=np.array([1 << 30]), shift=np.array([0]),
        input_zero_point=0, zero_point=0)
    assert layer.short_acc(Machine.of(up5k_build())) == short
    assert layer.short_acc(Machine.of(small_build(4, 4))) == 0
    assert layer.sum_bits == bits
