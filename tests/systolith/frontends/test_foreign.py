"""What is told of files that are no int8 networks."""

import io
import re
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from systolith.frontends.foreign import foreign
from systolith.frontends.model_file import read_model
from systolith.frontends.unquantised import unquantised
from systolith.graph.ir import ModelError
from systolith.zoo.digits import model_bytes
from tests.support.paths import OWN


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, b"{}")
    return file.getvalue()


def network(kind, *constants, dtype=TensorProto.FLOAT):
    """An .onnx network of one operator."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", *(each.name for each in constants)],
                          ["y", "s", "z"] if kind.startswith("Dyn") else ["y"])], "one",
        [value("x", dtype, [1, 4])], [value("y", dtype, None)], constants)
    return helper.make_model(graph, ir_version=9).SerializeToString()


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


KERAS = "TensorFlow's converter, by the recipe in docs/quantise.md"
EXPORT = r'torch.onnx.export(model, (x,), "model.onnx"), and then: systolith quantize model.onnx'
AGAIN = "convert it again with a representative dataset"
FILES = {
    "keras": (archive("metadata.json", "config.json", "model.weights.h5"),
              "is a Keras network (.keras)", KERAS),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(8), "is a Keras network or its weights (HDF5)", KERAS),
    "pt": (archive("net/data.pkl", "net/version", "net/data/0"), "is a PyTorch file", EXPORT),
    "torchscript": (archive("net/data.pkl", "net/constants.pkl", "net/code/x.py"),
                    "is a TorchScript network", EXPORT),
    "pt2": (archive("net/archive_format", "net/models/model.json"),
            "is an exported PyTorch program", EXPORT),
    "old pt": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "of an old format", EXPORT),
    "safetensors": (bytes([40, *bytes(7)]) + b'{"a":{}}', "is weights alone", EXPORT),
    "pb": (b"\x08\x01\x12\xff\x02", "is the graph of a SavedModel", "name the folder"),
    "ort": (bytes(4) + b"ORTM", "onnxruntime's own format", "take the .onnx"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS",
            "git lfs pull"),
    "html": (b"<!doctype html>\n<html>", "is a web page", "download that"),
    "npz": (archive("a.npy", "b.npy"), "holds arrays of NumPy", "name a network"),
    "zip": (archive("x.txt", "net/model.tflite"), "is an archive", "unpack net/model.tflite"),
    "cut zip": (archive("config.json", "metadata.json")[:40], "is a damaged archive", "again"),
    "float onnx": (network("Relu"), "is a float network", "systolith quantize model --calibrate"),
    "float16 onnx": (network("Relu", dtype=TensorProto.FLOAT16), "not of float32", "export it"),
    "dynamic onnx": (network("DynamicQuantizeLinear"), "is quantised dynamically",
                     "systolith quantize FLOAT.onnx --calibrate"),
    "int16 onnx": (network("QuantizeLinear", constant("s", np.float32(1)), constant(
        "z", np.int16(0))), "has int16 activations", "systolith quantize FLOAT.onnx"),
}
for name, what in (("float", "is a float network"), ("float16", "with float16 weights"),
                   ("hybrid", "has int8 weights, but float activations"),
                   ("int16", "has int16 activations")):
    FILES[f"{name} tflite"] = (OWN / f"{name}.tflite").read_bytes(), what, AGAIN


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path, monkeypatch, name):
    """A message says what the file is, by what is in it, and what to do."""
    data, what, remedy = FILES[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ModelError) as error:
        read_model("model")
    text = str(error.value)
    assert re.match(f"model .*{re.escape(what)}.*{re.escape(remedy)}", text), text


def test_what_there_is_no_telling_of(tmp_path):
    (tmp_path / "model").write_bytes(model_bytes())
    (tmp_path / "x.zip").write_bytes(archive("x.txt"))
    assert foreign(tmp_path / "model") is foreign(tmp_path / "x.zip") is None


def test_folders(tmp_path):
    with pytest.raises(ModelError, match="is a folder, which has no saved_model.pb"):
        read_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match=f"is a SavedModel of TensorFlow: .*{KERAS}"):
        read_model(tmp_path)


def test_quantised_networks_are_none_of_these():
    assert unquantised("tflite", model_bytes(), "model") is None
    assert unquantised("onnx", b"\x08\x09 no protobuf", "model") is None
    for kind in "QuantizeLinear", "DequantizeLinear":
        model = network(kind, constant("s", np.float32(1)), constant("z", np.int8(0)))
        with pytest.raises(ModelError) as error:
            read_model(model)
        assert "float network" not in str(error.value)


def test_damage_is_told_by_the_reader():
    data = (OWN / "float.tflite").read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(200):
        damaged = bytearray(data)
        for at in rng.integers(8, len(data), 8):
            damaged[at] = rng.integers(256)
        with pytest.raises(ModelError):
            read_model(damaged)
    with pytest.raises(ModelError, match="protobuf"):
        read_model(onnx.ModelProto.FromString(network("Relu")).SerializeToString()[:30])
