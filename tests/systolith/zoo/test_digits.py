"""The network for handwritten digits: its training, its quantisation, and what it recognises."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sim.golden.conv import conv2d_acc, depthwise_conv2d_acc
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.references.tflm import Reference
from systolith.zoo.digits import held_out, model_bytes, training
from systolith.zoo.digits.data import SCALE, ZERO_POINT
from systolith.zoo.digits.network import (
    Add,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Flatten,
    Network,
    Softmax,
    digits_network,
)
from systolith.zoo.digits.quantise import (
    activation_parameters,
    quantise,
    quantise_bias,
    quantise_weights,
)
from systolith.zoo.digits.train import accuracy, build


@pytest.fixture(scope="module")
def graph():
    return read_tflite(model_bytes())


@pytest.fixture(scope="module")
def results(graph):
    """All activations for the images held out, on the golden models."""
    return run_graph(graph, held_out().images)


# The images

def test_split_is_fixed_and_disjoint():
    assert len(held_out().labels) == 500 and len(training().labels) == 1297
    source, order = load_digits(), np.random.default_rng(0).permutation(1797)
    np.testing.assert_array_equal(held_out().labels, source.target[order[:500]])
    np.testing.assert_array_equal(training().greys, source.images[order[500:]])
    seen = {grey.tobytes() for grey in training().greys}
    assert not any(grey.tobytes() in seen for grey in held_out().greys)
    assert set(held_out().labels.tolist()) == set(training().labels.tolist()) == set(range(10))


def test_numbers_mean_the_greys_exactly():
    digits = held_out()
    assert digits.greys.shape == (500, 8, 8) and digits.greys.dtype == np.uint8
    assert (digits.greys.min(), digits.greys.max()) == (0, 16)
    assert digits.images.shape == (500, 8, 8, 1) and digits.images.dtype == np.int8
    meant = (digits.images.astype(float) - ZERO_POINT) * SCALE
    np.testing.assert_allclose(meant, digits.greys[..., None] / 16, rtol=1e-6)
    np.testing.assert_array_equal(digits.real, (digits.greys[..., None] / 16).astype(np.float32))


# The network in floating point

LAYERS = {
    "convolution": lambda rng: (Convolution(rng, 3, 4, 3), [(2, 5, 4, 3)]),
    "strided": lambda rng: (Convolution(rng, 3, 4, 3, stride=2), [(2, 8, 7, 3)]),
    "pointwise": lambda rng: (Convolution(rng, 5, 3, 1, relu=False), [(2, 3, 4, 5)]),
    "depthwise": lambda rng: (Depthwise(rng, 3, 3), [(2, 5, 4, 3)]),
    "linear depthwise": lambda rng: (Depthwise(rng, 3, 2, relu=False), [(2, 5, 4, 3)]),
    "add": lambda rng: (Add(), [(2, 3, 4, 5)] * 2),
    "average": lambda rng: (AveragePool(), [(2, 3, 4, 5)]),
    "flatten": lambda rng: (Flatten(), [(2, 3, 4, 5)]),
    "dense": lambda rng: (Dense(rng, 6, 4), [(3, 6)]),
    "softmax": lambda rng: (Softmax(), [(3, 6)]),
}


def slope(function, array, step=1e-6):
    """Gradient of ``function()`` with respect to ``array``, by central differences."""
    result = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        saved = array[place]
        array[place] = saved + step
        above = function()
        array[place] = saved - step
        below = function()
        array[place] = saved
        result[place] = (above - below) / (2 * step)
    return result


def in_double(layer):
    layer.parameters = {name: value.astype(np.float64) for name, value in layer.parameters.items()}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_layer(name):
    rng = np.random.default_rng(1)
    layer, shapes = LAYERS[name](rng)
    in_double(layer)
    inputs = [rng.normal(size=shape) for shape in shapes]
    y = layer.forward(*inputs)
    weights = rng.normal(size=y.shape)

    def objective():
        return (layer.forward(*inputs) * weights).sum()

    gradients, parameters = layer.backward(weights, y, *inputs)
    assert parameters.keys() == layer.parameters.keys()
    for x, gradient in zip(inputs, gradients, strict=True):
        np.testing.assert_allclose(gradient, slope(objective, x), atol=1e-7)
    for key, gradient in parameters.items():
        np.testing.assert_allclose(gradient, slope(objective, layer.parameters[key]), atol=1e-7)


def test_gradients_of_network():
    """A value that two layers read, as in a residual, gets the sum of their gradients."""
    rng = np.random.default_rng(2)
    network = Network((Convolution(rng, 1, 2, 3), [0]), (Depthwise(rng, 2, 3), [1]),
                      (Add(), [2, 1]), (AveragePool(), [3]), (Flatten(), [4]),
                      (Dense(rng, 2, 3), [5]), (Softmax(), [6]))
    for layer, _ in network.layers:
        in_double(layer)
    images, labels = rng.normal(size=(4, 4, 4, 1)), np.array([0, 2, 1, 2])

    def objective():
        return network.loss(images, labels)[0]

    _, gradients = network.loss(images, labels)
    for (layer, _), parts in zip(network.layers, gradients, strict=True):
        for name, gradient in parts.items():
            np.testing.assert_allclose(gradient, slope(objective, layer.parameters[name]),
                                       atol=1e-7)


@pytest.mark.parametrize("stride", [1, 2])
def test_layers_compute_what_golden_models_do(stride):
    """The same layouts of weights and the same padding, on numbers that floats hold exactly."""
    rng = np.random.default_rng(3)
    x = rng.integers(-9, 10, (2, 8, 8, 3))
    layer = Convolution(rng, 3, 4, 3, stride=stride, relu=False)
    weights = rng.integers(-9, 10, (4, 3, 3, 3))
    layer.parameters["weights"] = weights.astype(np.float32)
    padding = ((0, 1), (0, 1)) if stride == 2 else ((1, 1), (1, 1))
    want = conv2d_acc(x, weights, input_zero_point=0, stride=(stride, stride), padding=padding)
    np.testing.assert_array_equal(layer.forward(x.astype(np.float32)), want)
    if stride == 1:
        layer = Depthwise(rng, 3, 3, relu=False)
        weights = rng.integers(-9, 10, (1, 3, 3, 3))
        layer.parameters["weights"] = weights.astype(np.float32)
        want = depthwise_conv2d_acc(x, weights, input_zero_point=0, padding=padding)
        np.testing.assert_array_equal(layer.forward(x.astype(np.float32)), want)


# Quantisation

@pytest.mark.parametrize("low, high", [(0, 2.5), (-1, 3), (-7, -2), (0.5, 0.6), (0, 0), (-4, 0)])
def test_activation_parameters(low, high):
    scale, zero_point = activation_parameters(np.array([low, high]))
    assert scale == np.float32(scale) > 0 and -128 <= zero_point <= 127
    for value in (low, high, 0):
        number = np.clip(np.rint(value / scale) + zero_point, -128, 127)
        assert abs((number - zero_point) * scale - value) <= scale * (1 + 1e-5)
    if low >= 0:
        assert zero_point == -128


@pytest.mark.parametrize("axis, shape", [(0, (4, 3, 3, 2)), (3, (1, 3, 3, 4)), (None, (4, 9))])
def test_weights_are_symmetric(axis, shape):
    weights = np.random.default_rng(4).normal(size=shape)
    numbers, scales = quantise_weights(weights, axis)
    assert numbers.dtype == np.int8 and scales.dtype == np.float32
    assert len(scales) == (1 if axis is None else 4)
    assert numbers.min() >= -127
    spread = np.abs(numbers.astype(int))
    others = tuple(n for n in range(len(shape)) if axis is None or n != axis)
    assert (spread.max(axis=others) == 127).all()
    view = scales.reshape([-1 if n == axis else 1 for n in range(len(shape))])
    assert (np.abs(numbers * view - weights) <= view * 0.5001).all()


def test_weights_of_dead_channel():
    numbers, scales = quantise_weights(np.zeros((2, 1, 1, 3)), 0)
    assert not numbers.any() and (scales > 0).all()


def test_bias_in_units_of_products():
    numbers, scales = quantise_bias(np.array([1.0, -2.0]), 0.5, np.float32([0.25, 0.125]))
    assert numbers.dtype == np.int32 and numbers.tolist() == [8, -32]
    assert scales.tolist() == [0.125, 0.0625]


def test_bias_that_does_not_fit():
    with pytest.raises(ValueError, match=r"^a bias is too large for its scale: the weights of its "
                                         r"channel are close to zero$"):
        quantise_bias(np.array([1.0]), 1e-5, np.float32([1e-6]))


def test_network_is_quantised_as_tensorflow_lite_does(graph):
    for operator in graph.operators:
        x, y = graph.operand(operator, 0), graph.result(operator)
        if operator.kind in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
            weights, bias = graph.operand(operator, 1), graph.operand(operator, 2)
            channels = 1 if operator.kind == "FULLY_CONNECTED" else y.shape[-1]
            assert weights.dtype == "int8" and weights.zero_point == 0
            assert len(weights.scales) == len(bias.scales) == channels
            assert weights.data.min() >= -127 and weights.data.max() <= 127
            assert bias.dtype == "int32" and bias.zero_point == 0
            assert bias.scales == tuple(
                (np.float32(x.scale) * np.array(weights.scales, np.float32)).tolist())
        if operator.kind in {"AVERAGE_POOL_2D", "RESHAPE"}:
            assert (x.scale, x.zero_point) == (y.scale, y.zero_point)
        if operator.kind == "SOFTMAX":
            assert (y.scale, y.zero_point) == (1 / 256, -128)
        if getattr(operator.attributes, "activation", "NONE") == "RELU":
            assert y.zero_point == -128


def test_results_are_close_to_floating_point():
    """What the int8 layers compute is what the float ones do, within some steps of their scales."""
    rng = np.random.default_rng(5)
    network = digits_network(rng)
    graph = quantise(network, training().real)
    digits = held_out()
    values = network.forward(digits.real)
    got = run_graph(graph, digits.images)
    for number, operator in enumerate(graph.operators):
        y = graph.result(operator)
        meant = (got[operator.outputs[0]].astype(float) - y.zero_point) * y.scale
        error = np.abs(meant - values[number + 1]) / y.scale
        assert np.quantile(error, 0.99) < 6, operator


# The network that is shipped

def test_operators(graph):
    assert [operator.kind for operator in graph.operators] == [
        "CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "AVERAGE_POOL_2D", "RESHAPE",
        "FULLY_CONNECTED", "SOFTMAX"]
    strided = graph.operators[1]
    assert graph.operand(strided, 1).shape == (32, 3, 3, 16)
    assert strided.attributes.stride == (2, 2)
    assert strided.attributes.padding == ((0, 1), (0, 1))  # asymmetric
    assert graph.operand(graph.operators[2], 1).shape == (1, 3, 3, 32)
    residual = graph.operators[4]
    assert graph.operand(residual, 0).shape == graph.operand(residual, 1).shape
    assert set(residual.inputs) == {graph.operators[3].outputs[0], strided.outputs[0]}
    assert graph.operators[5].attributes.kernel == (4, 4)
    assert graph.tensors[graph.inputs[0]].shape == (1, 8, 8, 1)
    assert graph.tensors[graph.outputs[0]].shape == (1, 10)


def test_takes_the_numbers_of_the_images(graph):
    x = graph.tensors[graph.inputs[0]]
    assert (x.scale, x.zero_point) == (SCALE, ZERO_POINT)


def test_size_and_form():
    data = model_bytes()
    assert len(data) < 100_000
    assert write_tflite(read_tflite(data)) == data


def test_accuracy(graph, results):
    assert accuracy(results[graph.outputs[0]], held_out()) >= 0.98


def test_every_layer_equals_reference(graph, results):
    """All 500 images that are held out, every activation, byte for byte."""
    reference = Reference(model_bytes())
    for number, image in enumerate(held_out().images):
        layers = reference.layers(image[None])
        assert layers.keys() == results.keys() - set(graph.inputs)
        for index, want in layers.items():
            np.testing.assert_array_equal(results[index][number], want[0],
                                          f"image {number}, tensor {index}")


# Training

def test_same_seed_gives_the_same_bytes():
    first, second, other = (write_tflite(build(seed, 1)[1]) for seed in (7, 7, 8))
    assert first == second != other


def test_training_lowers_the_loss():
    losses = []
    build(0, 4, lambda epoch, loss: losses.append(loss))
    assert len(losses) == 4 and losses[-1] < losses[0] / 2


@pytest.mark.heavy
def test_training_from_scratch():
    network, graph = build(0, 100)
    digits = held_out()
    assert accuracy(network.forward(digits.real)[-1], digits) >= 0.98
    assert accuracy(run_graph(graph, digits.images)[graph.outputs[0]], digits) >= 0.98
