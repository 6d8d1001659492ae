"""Labels of classes, as files of models have them."""

import zipfile
from io import BytesIO

import pytest
from onnx import ModelProto

from systolith.frontends.labels import read_labels
from systolith.zoo.digits import model_bytes


def tflite(files):
    """A .tflite model with associated files, as TensorFlow Lite's metadata writer appends them."""
    buffer = BytesIO(model_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def onnx(**entries):
    model = ModelProto(ir_version=8)
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def test_labels_of_a_tflite_file(tmp_path):
    data = tflite({"vocab.txt": "x\ny\nz\n", "labels.txt": "cat\ndog \nbird\n", "a.json": "{}"})
    assert data.startswith(model_bytes())
    assert read_labels(data, 3) == ("cat", "dog", "bird")
    assert read_labels(data, 4) is None
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    assert read_labels(path, 3) == ("cat", "dog", "bird")
    assert read_labels(model_bytes(), 10) is None


@pytest.mark.parametrize("text", [
    '["cat", "dog"]', "['cat', 'dog']", "{0: 'cat', 1: 'dog'}", '{"1": "dog", "0": "cat"}',
    '{"cat": 0, "dog": 1}', "cat, dog", "cat\ndog\n", "('cat', 'dog')"])
@pytest.mark.parametrize("key", ["names", "labels", "Classes", "id2label"])
def test_labels_of_an_onnx_file(key, text):
    assert read_labels(onnx(author="a, b", **{key: text}), 2) == ("cat", "dog")


@pytest.mark.parametrize("model", [
    onnx(), onnx(author="a, b"), onnx(names="a, b, c"), onnx(names="{0: 'a', 2: 'b'}"),
    onnx(names="{'x': 'a', 'y': 'b'}"), onnx(names="[" * 100_000), onnx(names="3"),
    tflite({"labels.txt": "a"}), tflite({"labels.bin": "a\nb"}),
    tflite({"labels.txt": "a\nb\n"})[:-40], tflite({"labels.txt": "a\nb" + "\n" * (1 << 20)}),
])
def test_no_labels(model):
    assert read_labels(model, 2) is None


def test_labels_can_be_printed():
    model = onnx(names=repr(["\x1b[31mred", "a" * 1000]))
    assert read_labels(model, 2) == ("\N{REPLACEMENT CHARACTER}[31mred", "a" * 100)
