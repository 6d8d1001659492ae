"""Weights in files beside the model, and nowhere else."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from systolith.frontends.onnx import read_onnx
from systolith.frontends.onnx.external import model_bytes
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError
from systolith.references.onnxruntime import OnnxReference
from systolith.zoo.random import int8, onnx_network


@pytest.fixture
def model():
    data = onnx_network(np.random.default_rng(3), "qdq", "int8").model(floats=False)
    return onnx.ModelProto.FromString(data)


def put_outside(model, folder, location="weights.bin", **changes):
    """All larger constants in one file; the path of the model."""
    raw = bytearray()
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) < 16:
            continue
        places = {"location": location, "offset": str(len(raw)),
                  "length": str(len(tensor.raw_data)), **changes}
        raw += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in places.items():
            tensor.external_data.add(key=key, value=value)
    assert raw
    (folder / "weights.bin").write_bytes(raw)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_model(tmp_path, model):
    whole = read_onnx(model.SerializeToString())
    path = put_outside(model, tmp_path)
    graph = read_onnx(path)
    assert str(graph) == str(whole)
    x = int8(np.random.default_rng(1), graph.tensors[graph.inputs[0]].shape)
    want = OnnxReference(path).run(x)
    for index, y in zip(graph.outputs, want, strict=True):
        np.testing.assert_array_equal(run_graph(graph, x)[index], y)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "link.bin", ""])
def test_no_other_places(tmp_path, model, location):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/link.bin").symlink_to(tmp_path / "weights.bin")
    (tmp_path / "weights.bin").write_bytes(bytes(1 << 16))
    path = put_outside(model, tmp_path / "inside", location)
    with pytest.raises(ModelError, match="which is not beside the model: put it there"):
        read_onnx(path)


@pytest.mark.parametrize("changes, message", [
    ({"offset": "99999999"}, r"at 99999999 to \d+, but that has \d+ bytes"),
    ({"length": "-1"}, "but that has"), ({"offset": "ten"}, "at no number"),
    ({"location": "none.bin"}, "beside the model: No such file or directory"),
])
def test_what_files_do_not_have(tmp_path, model, changes, message):
    with pytest.raises(ModelError, match=message):
        read_onnx(put_outside(model, tmp_path, **changes))


def test_bytes_alone_have_no_files(tmp_path, model):
    data = put_outside(model, tmp_path).read_bytes()
    assert model_bytes(data, data) == data
    with pytest.raises(ModelError, match="give the model by its path, or save it as one file"):
        read_onnx(data)
