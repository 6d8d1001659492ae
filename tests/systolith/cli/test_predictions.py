"""Classes that networks tell, and outputs that are none."""

import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from systolith.cli import app
from systolith.cli.predictions import class_count, predictions
from systolith.frontends.tflite import read_tflite
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.runtime.session import TensorInfo
from systolith.zoo.digits import held_out, model_bytes

LABELS = ("cat", "dog", "bird", "cow", "fox", "pig")


def network(*kinds, shapes):
    """A graph of one operator after the other, whose tensors have those shapes."""
    tensors = tuple(Tensor(name=f"t{number}", shape=shape, scales=(1 / 256,), zero_point=-128)
                    for number, shape in enumerate(shapes))
    operators = tuple(Operator(kind=kind, inputs=(number,), outputs=(number + 1,), index=number)
                      for number, kind in enumerate(kinds))
    return Graph(tensors=tensors, operators=operators, inputs=(0,), outputs=(len(kinds),))


def none(count):
    return None


@pytest.mark.parametrize("kinds, shapes, count", [
    (["SOFTMAX"], [(1, 6)] * 2, 6),
    (["SOFTMAX", "RESHAPE", "QUANTIZE"], [(1, 1, 1, 6)] * 2 + [(1, 6)] * 2, 6),
    (["LOGISTIC"], [(1, 6)] * 2, 0),                       # an output of its own each
    (["FULLY_CONNECTED"], [(1, 640)] * 2, 0),              # an autoencoder, for all that is known
    (["SOFTMAX"], [(1, 1)] * 2, 0),
    (["SOFTMAX"], [(1, 4, 4, 2)] * 2, 0),                  # of each pixel
    (["SOFTMAX", "RESHAPE"], [(1, 4, 2), (1, 4, 2), (1, 8)], 0),
    (["SOFTMAX", "ADD"], [(1, 6)] * 3, 0),
])
def test_outputs_that_are_scores_of_classes(kinds, shapes, count):
    graph = network(*kinds, shapes=shapes)
    assert class_count(graph, graph.outputs[0], none) == count


def test_labels_make_scores_of_classes():
    graph = network("FULLY_CONNECTED", shapes=[(1, 6)] * 2)
    assert class_count(graph, 1, lambda count: LABELS if count == 6 else None) == 6


def shown(graph, y, labels, capsys):
    tensors = TensorInfo.outputs_of(graph)
    for view in predictions(graph, tensors, [y], labels):
        view.print()
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_best_of_one_image(capsys):
    graph = network("SOFTMAX", shapes=[(1, 6)] * 2)
    y = np.array([[-128, 64, -64, -120, -128, -127]], np.int8)
    lines = shown(graph, y, lambda count: LABELS, capsys)
    assert lines[0] == ["Predictions"] and lines[1] == ["class", "score"]
    assert lines[3:-1] == [["dog", "0.750"], ["bird", "0.250"], ["cow", "0.031"], ["pig", "0.004"]]


def test_the_best_of_many_images(capsys):
    graph = network("FULLY_CONNECTED", shapes=[(1, 6)] * 2)
    scores = np.tile(np.arange(-128, 110, 40), (12, 1))
    y = np.random.default_rng(0).permuted(scores, axis=1)
    lines = shown(graph, y.astype(np.int8), lambda count: LABELS, capsys)
    assert " ".join(lines[0]) == "Predictions: 10 of 12 images; --output has all"
    assert len(lines) == 3 + 10 + 1
    assert lines[1] == ["image", "first", "second", "third", "fourth", "fifth"]
    order = np.argsort(-y[0])[:5]
    assert lines[3][0] == "1" and lines[3][1::2] == [LABELS[index] for index in order]
    assert lines[3][2::2] == [f"{(y[0, index] + 128) / 256:.3f}" for index in order]


def test_run_tells_the_classes_of_its_images(tmp_path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(model_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "\n".join(f"digit-{number}" for number in range(10)))
    np.save(tmp_path / "x.npy", held_out().images[:1])
    words = ["run", str(path), "--rows", "4", "--cols", "4"]
    result = CliRunner().invoke(app, [*words, "--input", str(tmp_path / "x.npy")])
    assert result.exit_code == 0, result.exception
    assert f"digit-{held_out().labels[0]}  " in result.output
    assert "noise" not in result.output
    assert "the image is noise" in CliRunner().invoke(app, words).output


def test_digits_are_drawn_as_they_were():
    graph = read_tflite(model_bytes())
    assert class_count(graph, graph.outputs[0], none) == 10
    result = CliRunner().invoke(app, ["run", "--rows", "4", "--cols", "4", "--count", "1"])
    assert "read as" in result.output and "Predictions" not in result.output
