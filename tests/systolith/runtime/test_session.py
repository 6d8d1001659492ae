# amaranth: UnusedElaboratable=no
"""Sessions: what goes in, what comes out, and what they refuse."""

import re
from dataclasses import replace

import numpy as np
import pytest

from systolith import Session
from systolith.compiler import input_words
from systolith.compiler.fitting import fit, small_build
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.references.tflm import run_tflm
from systolith.runtime.device import Device
from systolith.runtime.names import distinct
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random.shapes import SHAPES, mobilenet

PICTURES = held_out().images[:3]


def pair(**fields):
    """A graph of two inputs and two outputs: the sum of the inputs, and the maximum of it."""
    def tensor(name):
        return Tensor(name=name, shape=(1, 2, 3, 4), scales=(0.5,), zero_point=3, **fields)

    return Graph(
        tensors=tuple(map(tensor, ("a", "b", "sum", "most"))), inputs=(0, 1), outputs=(2, 3),
        operators=(
            make_operator(kind="ADD", inputs=(0, 1), outputs=(2,),
                          attributes={"activation": "NONE"}),
            make_operator(kind="MAX_POOL_2D", inputs=(2,), outputs=(3,), index=1, attributes={
                "kernel": (1, 1), "stride": (1, 1), "padding": ((0, 0), (0, 0)),
                "activation": "RELU"})))


@pytest.mark.parametrize("target, batch", [("golden", 1), ("golden", 2), ("rtl", 1), ("rtl", 2),
                                           (small_build(4, 4), 1)])
def test_equals_tflm(target, batch):
    session = Session(model_bytes(), target, batch=batch)
    y = session.run(PICTURES)
    for image, row in zip(PICTURES, y, strict=True):
        np.testing.assert_array_equal(run_tflm(model_bytes(), image[None])[0], row[None])
    assert y.dtype == np.int8 and len(y) == 3
    assert (session.cycles == 0) == (target == "golden") == bool(session.alone)


def test_ends_say_what_they_are():
    session = Session(model_bytes(), "golden")
    (x,), (y,) = session.inputs, session.outputs
    tensors = session.graph.tensors
    image, scores = tensors[session.graph.inputs[0]], tensors[session.graph.outputs[0]]
    assert (x.shape, x.dtype, x.scale, x.zero_point) == (
        (1, 8, 8, 1), "int8", image.scale, image.zero_point)
    assert (y.shape, y.scale, y.zero_point) == ((1, 10), scores.scale, scores.zero_point)


def test_real_numbers():
    session = Session(model_bytes(), "golden")
    real = session.inputs[0].dequantise(PICTURES)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(session.inputs[0].quantise(real), PICTURES)
    y = session.run(real, real=True)
    np.testing.assert_array_equal(y, session.outputs[0].dequantise(session.run(PICTURES)))
    assert y.dtype == np.float32 and (np.abs(y.sum(axis=1) - 1) < 0.1).all()
    assert session.inputs[0].quantise([1e9, -1e9]).tolist() == [127, -128]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite(number):
    session = Session(model_bytes(), "golden")
    with pytest.raises(ValueError, match=r"^input \S+ has numbers that are not finite: NaN or inf"):
        session.run(np.full(PICTURES.shape, number, np.float32), real=True)


def test_results_that_are_no_images():
    """Of a fully connected layer that makes several rows of one image."""
    tensors = (Tensor(name="x", shape=(1, 6), scales=(0.1,)),
               Tensor(name="w", shape=(3, 2), scales=(0.1,), data=np.ones((3, 2), np.int8)),
               Tensor(name="y", shape=(3, 3), scales=(0.5,)))
    graph = Graph(tensors=tensors, inputs=(0,), outputs=(2,), operators=(make_operator(
        kind="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,), attributes={"activation": "NONE"}),))
    for target in ("golden", small_build(4, 4)):
        with pytest.raises(ValueError, match=r"^inputs and outputs have first axes of \[1, 3\]"):
            Session(graph, target)


def test_a_batch_in_the_file_is_refused_by_all_targets():
    graph = pair()
    graph = replace(graph, tensors=tuple(replace(tensor, shape=(2, *tensor.shape[1:]))
                                         for tensor in graph.tensors))
    for target in ("golden", small_build(4, 4)):
        with pytest.raises(ValueError, match="convert the model for a batch of 1$"):
            Session(graph, target)


def test_names_are_distinct():
    """Equal, empty and awkward ones: nobody's array is fed to two inputs."""
    assert distinct(["a", "a", "a_2", "", "x.npy", "x", "\0"], "input") == (
        "a", "a_3", "a_2", "input", "x.npy", "x_2", "_")
    graph = pair()
    graph = replace(graph, tensors=tuple(replace(tensor, name="same") for tensor in graph.tensors))
    session = Session(graph, "golden")
    a, b = np.random.default_rng(6).integers(-128, 128, (2, 5, 2, 3, 4), np.int8)
    with pytest.raises(ValueError, match="^the inputs are same, same_2, not same$"):
        session.run({"same": a})
    total, _ = session.run({"same": a, "same_2": b})
    np.testing.assert_array_equal(total, np.clip(a.astype(int) + b - 3, -128, 127))


def test_sessions_share_a_target():
    """Each has its program loaded again where another session came between."""
    target, rng = SimulatedAccelerator(small_build(4, 4)), np.random.default_rng(7)
    a, b = rng.integers(-128, 128, (2, 3, 2, 3, 4), np.int8)
    first, other = Session(pair(), target), Session(model_bytes(), target)
    want, digits = Session(pair(), "golden").run(a, b), Session(model_bytes(), "golden")
    for count in (1, 3):
        for got, each in zip(first.run(a[:count], b[:count]), want, strict=True):
            np.testing.assert_array_equal(got, each[:count])
        np.testing.assert_array_equal(other.run(PICTURES[:count]), digits.run(PICTURES[:count]))


@pytest.mark.parametrize("target", ["golden", small_build(4, 4)])
def test_several_inputs_and_outputs(target):
    rng = np.random.default_rng(4)
    a, b = rng.integers(-128, 128, (2, 5, 2, 3, 4), np.int8)
    session = Session(pair(), target)
    total, most = session.run(a, b)
    want = np.clip(a.astype(int) + b - 3, -128, 127)
    np.testing.assert_array_equal(total, want)
    np.testing.assert_array_equal(most, np.maximum(want, 3))
    for one, other in zip(session.run({"b": b, "a": a}), (total, most), strict=True):
        np.testing.assert_array_equal(one, other)


def test_speaks_as_the_file_does():
    """uint8, and channels before lines and pixels."""
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 256, (2, 5, 4, 2, 3), np.uint8)
    session = Session(pair(unsigned=True, layout="NCHW"), "golden")
    assert session.inputs[0].shape == (1, 4, 2, 3) and session.inputs[0].zero_point == 131
    total, _ = session.run(a, b)
    np.testing.assert_array_equal(total, np.clip(a.astype(int) + b - 131, 0, 255))
    assert total.dtype == np.uint8


X = np.zeros((2, 8, 8, 1), np.int8)


@pytest.mark.parametrize("inputs, error, message", [
    ((X, X), ValueError, "the network has 1 inputs (image), but 2 were given"),
    ((X.astype(np.float32),), TypeError, (
        "input image must be int8, not float32; run(..., real=True) quantises real numbers")),
    ((X.astype(np.uint8),), TypeError, "input image must be int8, not uint8"),
    ((X[0],), ValueError, "input image must be of the shape (n, 8, 8, 1), not (8, 8, 1)"),
    ((X[:0],), ValueError, "input image must be of the shape (n, 8, 8, 1), not (0, 8, 8, 1)"),
    (({"x": X},), ValueError, "the inputs are image, not x"),
])
def test_refuses(inputs, error, message):
    session = Session(model_bytes(), "golden")
    message = message.replace("image", session.inputs[0].name)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        session.run(*inputs)


def test_refuses_inputs_of_different_numbers():
    a = np.zeros((2, 2, 3, 4), np.int8)
    with pytest.raises(ValueError, match="^inputs must have as many images each, not 2 of a, 1 "
                                         "of b$"):
        Session(pair(), "golden").run(a, a[:1])


def test_refuses_an_unknown_target():
    with pytest.raises(ValueError, match='^target must be "golden", "rtl", AcceleratorParams or a '
                                         "device, not 'gpu'$"):
        Session(model_bytes(), "gpu")


def test_reshaped_input():
    """The input is what the file has, and all tensors are there, if it is written reshaped."""
    data = write_tflite(SHAPES["tiny conv"](np.random.default_rng(2)))
    session = Session(data, small_build(4, 4), keep=True)
    x = np.random.default_rng(3).integers(-128, 128, (2, 1960), np.int8)
    assert session.inputs[0].shape == (1, 1960)
    assert not any(layer.operator.kind == "RESHAPE" for layer in session.program.layers)
    for run, image in zip(session.results(x), x, strict=True):
        want = run_graph(session.graph, image[None])
        assert run.values.keys() == want.keys()
        for index, value in want.items():
            np.testing.assert_array_equal(run.values[index], value)


@pytest.mark.parametrize("batch", [1, 2])
def test_compact_inputs_take_fewer_bytes_and_give_the_same(batch):
    """Lines of images with three channels are interleaved, unless they are to be compact."""
    graph = mobilenet(np.random.default_rng(1), (12, 10), ((16, 1),))
    x = np.random.default_rng(2).integers(-128, 128, (batch, 12, 10, 3), np.int8)
    want = [run_graph(graph, each[None])[graph.outputs[0]] for each in x]
    simulated, sizes = SimulatedAccelerator(fit(graph, small_build(8, 8), batch=batch)), []
    for simulated.compact in (False, True):
        session = Session(graph, simulated, batch=batch)
        np.testing.assert_array_equal(session.run(x), np.concatenate(want))
        sizes.append(input_words(session.program, graph.inputs[0], x).size)
    assert sizes == [batch * 6 * 96, batch * 12 * 32]


def test_links_take_compact_inputs():
    assert Device.compact and not SimulatedAccelerator.compact
