import re
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.helper import make_tensor_value_info

from systolith.frontends.model_file import read_model
from systolith.frontends.source import ConverterError
from systolith.graph.ir import ModelError
from systolith.graph.record import records
from systolith.references.load import reference_of
from systolith.references.onnxruntime import OnnxReference
from systolith.references.tflm import Reference
from systolith.zoo.digits import model_bytes


def onnx_model():
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in (
        ("s", np.float32(0.5)), ("z", np.int8(0)))]
    graph = helper.make_graph(
        [helper.make_node("QLinearAdd", ["x", "s", "z", "x", "s", "z", "s", "z"], ["y"],
                          domain="com.microsoft")], "sum",
        [make_tensor_value_info("x", 3, [1, 4])], [make_tensor_value_info("y", 3, None)], constants)
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]).SerializeToString()


@pytest.mark.parametrize("data, rounding, reference", [
    (model_bytes, "tflm", Reference), (onnx_model, "float32", OnnxReference)])
def test_reader_is_chosen_by_content(tmp_path, data, rounding, reference):
    path = tmp_path / "model"
    path.write_bytes(data())
    assert read_model(path).rounding == read_model(data()).rounding == rounding
    for source in (path, str(path), data(), bytearray(data()), memoryview(data())):
        assert type(reference_of(source)) is reference


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"text that is no model"])
def test_neither(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(f"{path} is neither a .tflite nor an .onnx "
                                                   "model")):
        read_model(path)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(ModelError, match=r"missing\.onnx: No such file"):
        read_model(tmp_path / "missing.onnx")
    path = tmp_path / "cut.onnx"
    path.write_bytes(onnx_model()[:40])
    with pytest.raises(ModelError, match=r"cut\.onnx: .*onnx"):
        read_model(path)


@pytest.mark.parametrize("data, group, name, where", [
    (model_bytes, "tflite", "ADD", "operator 4 (ADD)"),
    (onnx_model, "qlinear", "QLinearAdd", "operator 0 (QLinearAdd)")])
@pytest.mark.parametrize("error", [TypeError, IndexError, AttributeError, ZeroDivisionError])
def test_a_mistake_of_a_converter_is_no_damage(monkeypatch, data, group, name, where, error):
    def convert(node):
        raise error("oops")

    monkeypatch.setitem(records(), "ADD", replace(records()["ADD"], **{group: {name: convert}}))
    with pytest.raises(ConverterError, match="^" + re.escape(
            f"{where}: the converter of its record fails at what it should read or refuse: "
            f"{error.__name__}: oops") + "$"):
        read_model(data())


def test_a_converter_may_find_damage(monkeypatch):
    """What it asks of the file may not be there."""
    def convert(node):
        monkeypatch.setattr(type(node.options), "FusedActivationFunction", lambda self: b""[1])
        return node.fused()

    monkeypatch.setitem(records(), "ADD", replace(records()["ADD"], tflite={"ADD": convert}))
    with pytest.raises(ModelError, match="^the model is damaged or truncated, convert or fetch"):
        read_model(model_bytes())
