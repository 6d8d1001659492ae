"""``systolith quantize``."""

import numpy as np
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner

from systolith import Session
from systolith.cli import app
from systolith.zoo.digits import model_bytes
from tests.support.float_networks import float_network

RNG = np.random.default_rng(3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a float network and inputs for it."""
    monkeypatch.chdir(tmp_path)
    onnx.save(float_network("plain"), "float.onnx")
    (tmp_path / "digits.tflite").write_bytes(model_bytes())
    np.save("x.npy", RNG.random((3, 3, 16, 16), np.float32))
    np.save("last.npy", RNG.integers(0, 256, (3, 16, 16, 3), np.uint8))
    np.save("int.npy", np.zeros((3, 3, 16, 16), np.int8))
    np.savez("x.npz", x=np.load("x.npy"), labels=np.arange(3))
    np.savez("two.npz", x=np.load("x.npy"), y=np.load("x.npy"))
    (tmp_path / "images" / "cats").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for number, image in enumerate(np.load("last.npy")):
        Image.fromarray(image).save(f"images/cats/{number}.png")
    return tmp_path


def quantize(*words):
    """The outcome of ``systolith quantize``, its output in one line."""
    result = CliRunner().invoke(app, ["quantize", *words])
    return result, " ".join(result.output.split())


def test_formats_of_data(folder):
    """Arrays and images of the same numbers give the same network."""
    np.save("real.npy", np.load("last.npy").transpose(0, 3, 1, 2) / np.float32(255))
    made = []
    for data in "real.npy", "last.npy", "images":
        result, text = quantize("float.onnx", "--calibrate", data, "-o", f"{data}.onnx")
        assert result.exit_code == 0, result.exception
        assert f"{data}.onnx: 5 operators, all of them on the accelerator" in text
        assert f"next: systolith check {data}.onnx --board all" in text
        made.append((folder / f"{data}.onnx").read_bytes())
    assert made[0] == made[1] == made[2]
    result, _ = quantize("float.onnx", "--calibrate", "x.npz", "-o", "y.onnx")
    assert result.exit_code == 0


def test_mean_and_scale(folder):
    result, _ = quantize("float.onnx", "--calibrate", "images", "-o", "y.onnx", "--mean",
                         "100,110,120", "--scale", "50", "--count", "2")
    assert result.exit_code == 0, result.exception
    x = (np.load("last.npy")[::2] - np.float32([100, 110, 120])) / 50
    scale = Session("y.onnx", target="golden").inputs[0].scale
    assert scale == pytest.approx(np.ptp(x) / 255, rel=1e-3)


@pytest.mark.parametrize("words, message", [
    ("none.onnx --calibrate x.npy -o y.onnx", "none.onnx: No such file or directory"),
    ("digits.tflite --calibrate x.npy -o y.onnx", "digits.tflite is a .tflite model"),
    ("float.onnx --calibrate x.npy -o float.onnx",
     "float.onnx is the network to be quantised: name another file"),
    ("float.onnx --calibrate x.npy -o none/y.onnx", "there is no folder none"),
    ("float.onnx --calibrate none.npy -o y.onnx", "No such file or directory: 'none.npy'"),
    ("float.onnx --calibrate int.npy -o y.onnx",
     "must be real numbers, or pixels of uint8, not int8"),
    ("float.onnx --calibrate float.onnx -o y.onnx", "float.onnx is neither an array"),
    ("float.onnx --calibrate two.npz -o y.onnx",
     "two.npz must hold one array (n, 3, 16, 16) for the input image, not x (3, 3, 16, 16); y"),
    ("float.onnx --calibrate empty -o y.onnx", "empty has no images"),
    ("float.onnx --calibrate x.npy -o y.onnx --method max", "did you mean minmax?"),
    ("float.onnx --calibrate x.npy -o y.onnx --layout nchv", "did you mean nchw?"),
    ("float.onnx --calibrate x.npy -o y.onnx --mean 1,2",
     "--mean must be a number, or three with commas, not '1,2'"),
    ("float.onnx --calibrate x.npy -o y.onnx --scale 0", "--scale must not be 0"),
    ("float.onnx --calibrate x.npy -o y.onnx --size 7", "--size must be height x width"),
])
def test_what_is_wrong(folder, words, message):
    result, _ = quantize(*words.split())
    assert result.exit_code == 1 and message in str(result.exception)
    assert not (folder / "y.onnx").exists()


def test_what_is_quantised_already(folder):
    quantize("float.onnx", "--calibrate", "x.npy", "-o", "y.onnx")
    result, _ = quantize("y.onnx", "--calibrate", "x.npy", "-o", "z.onnx")
    assert "y.onnx is quantised already" in str(result.exception)


def test_several_inputs(folder):
    """They are found by their names, and have as many images each."""
    value = onnx.helper.make_tensor_value_info
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["sum"])], "sum",
        [value(name, onnx.TensorProto.FLOAT, [None, 4]) for name in ("a", "b")],
        [value("sum", onnx.TensorProto.FLOAT, None)]), ir_version=8), "add.onnx")
    words = "add.onnx", "-o", "y.onnx", "--calibrate"
    np.savez("one.npz", a=np.ones((3, 4), np.float32))
    np.savez("some.npz", a=np.ones((3, 4), np.float32), b=np.ones((2, 4), np.float32))
    np.savez("both.npz", b=np.float32([[3, 0, 0, 0]]), a=np.float32([[1, 0, 0, 0]]))
    for data, message in (("one.npz", "must have an array for each input (a, b), by its name"),
                          ("some.npz", "as many images each, not 3 of a and 2 of b"),
                          ("images", "give one .npz that has them by name")):
        result, _ = quantize(*words, data)
        assert message in str(result.exception)
    result, _ = quantize(*words, "both.npz")
    assert result.exit_code == 0, result.exception
    scales = [each.scale for each in Session("y.onnx", target="golden").inputs]
    assert scales == pytest.approx([1 / 255, 3 / 255], rel=1e-4)


@pytest.mark.parametrize("kind", ["FLOAT16", "UINT8"])
def test_inputs_of_other_types(folder, kind):
    model = float_network("resnet")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(kind)
    onnx.save(model, "other.onnx")
    result, _ = quantize("other.onnx", "--calibrate", "x.npy", "-o", "y.onnx")
    assert f"the input image is {kind}, not FLOAT: export" in str(result.exception)


def test_open_size(folder):
    model = float_network("resnet")
    for axis in 2, 3:
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"d{axis}"
    onnx.save(model, "open.onnx")
    words = "open.onnx", "--calibrate", "images", "-o", "y.onnx"
    result, _ = quantize(*words)
    assert "axis 2 of the input image is left open: give --size HxW" in str(result.exception)
    result, _ = quantize(*words, "--size", "12x14")
    assert result.exit_code == 0, result.exception
    assert Session("y.onnx", target="golden").inputs[0].shape == (1, 3, 12, 14)
