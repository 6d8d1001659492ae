"""``systolith evaluate``."""

import json

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from typer.testing import CliRunner

from systolith import Session
from systolith.cli import app
from systolith.quantisation import parallel
from systolith.quantisation.float_network import FloatNetwork
from systolith.quantisation.labels import read_classes
from systolith.zoo.digits import held_out, model_bytes
from tests.support.paths import OWN

DIGITS = held_out()
FLOAT = str(OWN / "torch_script.onnx")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the network that reads digits, digits, and an int8 one of a float
    network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.tflite").write_bytes(model_bytes())
    np.savez("x.npz", x=DIGITS.real[:40], labels=DIGITS.labels[:40])
    np.savez("no.npz", x=DIGITS.real[:3], labels=DIGITS.labels[:2], numbers=np.arange(3) * 9)
    return tmp_path


def command(*words):
    """The outcome of a command, its output in one line."""
    result = CliRunner().invoke(app, list(words))
    return result, " ".join(result.output.split())


def test_accuracy(folder):
    scores = Session("digits.tflite", target="golden").run(DIGITS.real[:40], real=True)
    right = (scores.argmax(1) == DIGITS.labels[:40]).mean()
    result, text = command("evaluate", "digits.tflite", "--data", "x.npz", "--jobs", "1")
    assert result.exit_code == 0 and f"40 inputs accuracy {right:.2%}" in text


def test_float_network_in_other_axes(folder):
    """Real numbers of (n, h, w, c) serve a network of (n, c, h, w) as well."""
    result, _ = command("quantize", FLOAT, "--calibrate", "x.npz", "-o", "int8.onnx")
    assert result.exit_code == 0, result.exception
    words = "evaluate", "int8.onnx", "--data", "x.npz", "--float", FLOAT, "--count", "20"
    result, _ = command(*words, "--jobs", "1", "--json")
    found = json.loads(result.stdout)
    x = DIGITS.real[:40:2].transpose(0, 3, 1, 2)
    real = onnxruntime.InferenceSession(FLOAT).run(None, {"image": x})[0]
    y = Session("int8.onnx", target="golden").run(x, real=True)
    error = np.abs(real - y)
    agreement, = found["agreement"]
    assert found["count"] == 20 and found["model"] == "int8.onnx"
    assert found["float_accuracy"] == (real.argmax(1) == DIGITS.labels[:40:2]).mean()
    assert agreement["largest_error"] == pytest.approx(error.max(), rel=1e-5)
    assert agreement["same_class"] == (real.argmax(1) == y.argmax(1)).mean()
    worst = int(error.max(axis=1).argmax())
    assert found["worst"][0]["index"] == 2 * worst
    assert found["worst"][0]["label"] == DIGITS.labels[2 * worst]
    result, text = command(*words, "--jobs", "1", "--worst", "1")
    assert f"{agreement['mean_error']:.3g} {error.max():.3g} {agreement['sqnr']:.1f} dB" in text


def test_processes_rtl_and_folders_of_classes(folder):
    """In two processes, on the simulated RTL, of images: the numbers are the same."""
    for label in range(10):
        path = folder / "images" / f"class {label}"
        path.mkdir(parents=True)
        grey = DIGITS.greys[DIGITS.labels == label][0] * np.uint8(15)
        Image.fromarray(grey).save(path / "one.png")
    words = "evaluate", "digits.tflite", "--data", "images", "--scale", "240", "--json"
    seen = []
    for further in ["--jobs", "1"], ["--jobs", "2", "--board", "icebreaker"]:
        result, _ = command(*words, *further)
        assert result.exit_code == 0, result.exception
        seen.append(json.loads(result.stdout))
    assert seen[0] == seen[1]
    assert seen[0]["count"] == 10 and seen[0]["accuracy"] >= 0.9


def test_a_process_that_ends(folder, monkeypatch):
    monkeypatch.setattr(parallel, "_begin", exit)
    result, _ = command("evaluate", "digits.tflite", "--data", "x.npz", "--jobs", "2")
    assert "give fewer --jobs" in str(result.exception)


def test_float_tflite(folder):
    network = FloatNetwork(OWN / "float.tflite")
    (name, shape), = network.shapes.items()
    assert shape == (1, 64)
    y, = network.results([{name: np.ones(shape, np.float32)}] * 2, lambda _: None)
    assert y.shape == (2, 16) and y.any()


@pytest.mark.parametrize("words, message", [
    ("none.tflite --data x.npz", "none.tflite: No such file or directory"),
    (f"{FLOAT} --data x.npz", "is a float network; make it int8: systolith quantize"),
    ("digits.tflite --data none.npz", "No such file or directory: 'none.npz'"),
    ("digits.tflite --data no.npz", "labels must be integers of the shape (3,), one for each"),
    ("digits.tflite --data no.npz --labels names", "no.npz has no array names"),
    ("digits.tflite --data no.npz --labels numbers --jobs 1", "labels must be between 0 and 9"),
    ("digits.tflite --data x.npz --float digits.tflite", "the input image is not float32"),
    ("digits.tflite --data x.npz --on /dev/null --rtl", "--on runs the board that is there"),
    ("digits.tflite --data x.npz --board icebreakr", "did you mean icebreaker?"),
])
def test_what_is_wrong(folder, words, message):
    result, _ = command("evaluate", *words.split())
    assert result.exit_code == 1 and message in str(result.exception)


def test_classes_of_an_array_alone(folder):
    np.save("x.npy", DIGITS.real[:3])
    assert read_classes(folder / "x.npy", None) is None
