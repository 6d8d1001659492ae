# amaranth: UnusedElaboratable=no
"""``systolith run`` on networks of a user's own."""

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from boards.board import board_of
from systolith.cli import app
from systolith.cli.results import save_outputs
from systolith.compiler import compile_graph, needs_of
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.references.comparison import Comparison
from systolith.references.tflm import TflmError, run_tflm
from systolith.runtime.session import Session
from systolith.runtime.target import Run
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random import residual
from systolith.zoo.random.shapes import SHAPES
from tests.support.paths import MODELS

IMAGES = held_out().images[:2]


def run(*words):
    """The outcome of ``systolith run`` on a small array, its output in one line."""
    result = CliRunner().invoke(app, ["run", *map(str, words), "--rows", "4", "--cols", "4"])
    return result, " ".join(result.output.split())


@pytest.fixture
def digits(tmp_path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(model_bytes())
    np.save(tmp_path / "x.npy", IMAGES)
    return path


def test_inputs_and_outputs(digits):
    x, y = digits.with_name("x.npy"), digits.with_name("y.npy")
    result, text = run(digits, "--input", x, "--output", y)
    assert result.exit_code == 0
    assert "inputs and outputs are moved during runs" in text
    assert "2 images on 4 x 4 products: " in text
    assert "104,256 MACs take at least 6,516 cycles: " in text
    assert "bit-exact: 0 of 20 bytes differ from TensorFlow Lite Micro" in text
    want = np.concatenate([run_tflm(model_bytes(), one[None])[0] for one in IMAGES])
    np.testing.assert_array_equal(np.load(y), want)


def test_noise_where_no_input_is_given(digits):
    result, text = run(digits)
    assert result.exit_code == 0 and "bit-exact: 0 of 10 bytes differ" in text


def test_as_much_noise_as_asked_for(digits, tmp_path):
    result, text = run(digits, "--count", 3, "--output", tmp_path / "y.npy")
    assert result.exit_code == 0 and "bit-exact: 0 of 30 bytes differ" in text
    assert len({row.tobytes() for row in np.load(tmp_path / "y.npy")}) > 1


@pytest.mark.parametrize("names", [("file", "allow_pickle"), ("a/b", "a/b"), ("", "")])
def test_outputs_of_awkward_names(tmp_path, names):
    outputs = save(tmp_path / "y.npz", names)
    with np.load(tmp_path / "y.npz") as loaded:
        assert len(loaded.files) == 2
        for name, want in zip(loaded.files, outputs, strict=True):
            np.testing.assert_array_equal(loaded[name], want)


def save(path, names):
    """Save two outputs of such names; the outputs."""
    def tensor(name):
        return Tensor(name=name, shape=(1, 4), scales=(0.5,))

    graph = Graph(tensors=tuple(map(tensor, ("x", *names))), inputs=(0,), outputs=(1, 2),
                  operators=tuple(make_operator(kind="RELU", inputs=(0,), outputs=(n,), index=n - 1,
                                                attributes={}) for n in (1, 2)))
    session = Session(graph, "golden")
    outputs = [np.full((3, 4), number, np.int8) for number in (1, 2)]
    save_outputs(path, session, outputs)
    return outputs


def test_outputs_are_there_whatever_comparing_them_does(digits, tmp_path, monkeypatch):
    def fail(self, run):
        raise TflmError("the runtime ends")

    monkeypatch.setattr(Comparison, "take", fail)
    result, _ = run(digits, "--output", tmp_path / "y.npy")
    assert str(result.exception) == "the runtime ends" and np.load(tmp_path / "y.npy").shape[0] == 1


def test_layers(digits):
    result, text = run(digits, "--layers", "--count", 1)
    assert result.exit_code == 0
    assert "DEPTHWISE_CONV_2D" in text and "bit-exact: 0 of 3,156 bytes differ" in text


def test_layers_of_what_really_runs(tmp_path):
    """A sum takes place in a convolution; cycles are those of a run that keeps no more."""
    graphs = (residual(np.random.default_rng([3, seed])) for seed in range(100))
    graph, program = next(
        (graph, program) for graph in graphs
        if (program := compile_graph(graph, small_build(4, 4), double_buffered=True)).fused_into)
    (total, convolution), *_ = program.fused_into.items()
    path = tmp_path / "sum.tflite"
    path.write_bytes(write_tflite(graph))
    result, text = run(path, "--layers")
    assert result.exit_code == 0 and re.search(
        rf"\b{convolution} (DEPTHWISE_)?CONV_2D \+ {total} ADD\b", text)
    cycles, = re.findall(r"from go to done [\d,]+ ([\d,]+)", text)
    _, text = run(path)
    assert f"1 image on 4 x 4 products: {cycles} cycles per image" in text


def test_layers_of_a_network_that_fills_a_board():
    """Not all tensors fit at a time: they come from several runs."""
    if not MODELS.exists():
        pytest.skip(f"{MODELS} is not there")
    result = CliRunner().invoke(app, [
        "run", str(MODELS / "resnet8_cifar10_int8.tflite"), "--board", "icebreaker", "--layers"])
    assert result.exit_code == 0, result.exception
    assert "bit-exact: 0 of 114,836 bytes differ from TensorFlow Lite Micro" in result.output


def test_several_inputs(tmp_path):
    def tensor(name):
        return Tensor(name=name, shape=(1, 2, 3, 4), scales=(0.5,), zero_point=3)

    graph = Graph(tensors=(tensor("a"), tensor("b"), tensor("sum")), inputs=(0, 1), outputs=(2,),
                  operators=(make_operator(kind="ADD", inputs=(0, 1), outputs=(2,),
                                           attributes={"activation": "NONE"}),))
    path = tmp_path / "add.tflite"
    path.write_bytes(write_tflite(graph))
    a, b = np.random.default_rng(1).integers(-128, 128, (2, 3, 2, 3, 4), np.int8)
    np.savez(tmp_path / "x.npz", a=a, b=b)
    result, text = run(path, "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npy")
    assert result.exit_code == 0
    assert "bit-exact: 0 of 72 bytes differ from TensorFlow Lite Micro" in text
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"),
                                  np.clip(a.astype(int) + b - 3, -128, 127))


def test_litert(digits):
    pytest.importorskip("ai_edge_litert")
    result, text = run(digits, "--compare", "litert")
    assert result.exit_code == 0 and "of 10 bytes differ from LiteRT" in text


def test_litert_is_not_installed(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    result, _ = run(digits, "--compare", "litert")
    assert str(result.exception) == "LiteRT is not installed: pip install ai-edge-litert"


def test_a_board_that_is_too_small(tmp_path):
    path = tmp_path / "large.tflite"
    graph = SHAPES["large"](np.random.default_rng(3))
    path.write_bytes(write_tflite(graph))
    result = CliRunner().invoke(app, ["run", str(path), "--board", "icebreaker"])
    assert "does not fit iCEBreaker" in str(result.exception)
    need = needs_of(graph, board_of("icebreaker").params)["activation_bytes"]
    assert need // 1000 == 486
    assert (f"memory that all share: {need} bytes are needed, {need - 131072} more than the 131072"
            in str(result.exception))


def compared(runtime, layers=False, flip=None):
    """The comparison of a run of the digits in which a bit of one tensor is wrong."""
    graph = read_tflite(model_bytes())
    values = run_graph(graph, IMAGES[:1])
    if flip is not None:
        values[flip].reshape(-1)[0] ^= 1
    comparison = Comparison(model_bytes(), graph, runtime, layers)
    comparison.take(Run(values=values))
    return graph, comparison


@pytest.mark.parametrize("layers", [False, True])
def test_comparison_finds_a_difference(layers):
    graph = read_tflite(model_bytes())
    _, comparison = compared(None, layers, graph.outputs[0])
    assert comparison.failed and comparison.differing == 1
    assert [good for _, good in comparison.verdicts()] == [False] * (1 + layers)
    _, comparison = compared(None, layers)
    assert not comparison.failed and [good for _, good in comparison.verdicts()] == [True]


def test_comparison_with_a_runtime_that_rounds_otherwise():
    pytest.importorskip("ai_edge_litert")
    graph = read_tflite(model_bytes())
    _, comparison = compared("litert", False, graph.outputs[0])
    assert not comparison.expected and not comparison.failed
    (text, good), = comparison.verdicts()
    assert good and "that is to be expected: LiteRT rounds otherwise" in text


@pytest.mark.parametrize("numbers, ends", [(511, False), (512, True)])
def test_comparison_where_the_runtime_would_end_the_process(numbers, ends):
    """A softmax of numbers that are all alike: their exponentials are 1 each."""
    x = Tensor(name="x", shape=(1, 600), scales=(1.0,), zero_point=0)
    graph = Graph(
        tensors=(x, replace(x, scales=(1 / 256,), zero_point=-128)), inputs=(0,), outputs=(1,),
        operators=(make_operator(kind="SOFTMAX", inputs=(0,), outputs=(1,),
                                 attributes={"beta": 1.0}),))
    data, one = write_tflite(graph), np.full((1, 600), -100, np.int8)
    one[:, :numbers] = 7
    comparison = Comparison(data, graph, None, False)
    if ends:
        with pytest.raises(TflmError, match=r"^operator 0 \(SOFTMAX\): of so many numbers"):
            comparison.take(Run(values=run_graph(graph, one)))
    else:
        comparison.take(Run(values=run_graph(graph, one)))
        assert comparison.compared == 600 and not comparison.failed


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_comparison_without_biases(kind):
    """A convolution may have the operand -1 for them; at a depthwise one the runtime ends the
    process."""
    graph = read_tflite(model_bytes())
    operators = [replace(op, inputs=(*op.inputs[:2], -1)) if op.kind == kind else op
                 for op in graph.operators]
    graph = replace(graph, operators=tuple(operators))
    if kind == "CONV_2D":
        assert not Comparison(write_tflite(graph), graph, None, False).failed
    else:
        with pytest.raises(TflmError, match=r"^operator 2 \(DEPTHWISE_CONV_2D\): there is no"):
            Comparison(write_tflite(graph), graph, None, False)
