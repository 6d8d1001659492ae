"""Random damage to .onnx files: an error, or a graph that gives what onnxruntime makes of the file.
Never another exception, never a hang."""

import time
from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.helper import make_tensor_value_info

from systolith.frontends.onnx import read_onnx
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError
from systolith.references.onnxruntime import OnnxReference, OnnxruntimeError


def model(form):
    """A small network in one of the two forms."""
    rng, constants, nodes = np.random.default_rng(5), [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(kind, inputs, outputs, **attributes):
        domain = "com.microsoft" if kind in {"QLinearAdd", "QLinearGlobalAveragePool",
                                             "QLinearSoftmax"} else ""
        nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))

    s, z = constant("s", np.float32(0.05)), constant("z", np.int8(3))
    constant("w", rng.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8))
    constant("m", rng.integers(-127, 128, (4, 5)).astype(np.int8))
    constant("ws", rng.uniform(0.001, 0.01, 4).astype(np.float32))
    constant("wz", np.zeros(4, np.int8))
    constant("b", rng.integers(-99, 100, 4).astype(np.int32))
    constant("bs", (constants[4] and numpy_helper.to_array(constants[4])) * np.float32(0.05))
    constant("bz", np.zeros(4, np.int32))
    constant("ms", np.float32(0.01))
    constant("mz", np.int8(0))
    constant("p", np.float32(1 / 256))
    constant("pz", np.int8(-128))
    constant("shape", np.array([0, -1]))
    if form == "qlinear":
        node("QLinearConv", ["x", s, z, "w", "ws", "wz", s, z, "b"], ["c"], pads=[1, 1, 1, 1])
        node("QLinearAdd", ["c", s, z, "c", s, z, s, z], ["a"])
        node("MaxPool", ["a"], ["q"], kernel_shape=[2, 2])
        node("QLinearGlobalAveragePool", ["q", s, z, s, z], ["g"], channels_last=0)
        node("Reshape", ["g", "shape"], ["f"])
        node("QLinearMatMul", ["f", s, z, "m", "ms", "mz", s, z], ["d"])
        node("QLinearSoftmax", ["d", s, z, "p", "pz"], ["y"], axis=-1, opset=13)
        real = onnx.TensorProto.INT8
    else:
        node("QuantizeLinear", ["x", s, z], ["xq"])
        node("DequantizeLinear", ["xq", s, z], ["xr"])
        node("DequantizeLinear", ["w", "ws", "wz"], ["wr"], axis=0)
        node("DequantizeLinear", ["b", "bs", "bz"], ["br"], axis=0)
        node("Conv", ["xr", "wr", "br"], ["cr"], pads=[1, 1, 1, 1])
        node("Relu", ["cr"], ["rr"])
        node("QuantizeLinear", ["rr", s, z], ["rq"])
        node("DequantizeLinear", ["rq", s, z], ["r"])
        node("Add", ["r", "r"], ["ar"])
        node("QuantizeLinear", ["ar", s, z], ["aq"])
        node("DequantizeLinear", ["aq", s, z], ["a"])
        node("GlobalAveragePool", ["a"], ["gr"])
        node("QuantizeLinear", ["gr", s, z], ["gq"])
        node("DequantizeLinear", ["gq", s, z], ["g"])
        node("Reshape", ["g", "shape"], ["f"])
        node("DequantizeLinear", ["m", "ms", "mz"], ["mr"])
        node("Gemm", ["f", "mr"], ["dr"])
        node("QuantizeLinear", ["dr", s, z], ["y"])
        real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(nodes, "net", [make_tensor_value_info("x", real, ["n", 2, 6, 5])],
                              [make_tensor_value_info("y", onnx.TensorProto.INT8, None)], constants)
    domains = {"": 17} | ({"com.microsoft": 1} if form == "qlinear" else {})
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid(*each) for each in domains.items()]).SerializeToString()


MODELS = {form: model(form) for form in ("qlinear", "qdq")}


def survives(data):
    """Reads ``data``; returns whether it was accepted, and then runs too."""
    start = time.monotonic()
    try:
        graph = read_onnx(data)
    except ModelError as error:
        graph = None
        assert str(error)
    assert time.monotonic() - start < 2
    if graph is not None:
        rng = np.random.default_rng(1)
        inputs = [rng.integers(-128, 128, graph.tensors[index].shape).astype(np.int8)
                  for index in graph.inputs]
        if sum(each.size for each in inputs) < 1 << 14:
            values = run_graph(graph, *inputs)
            for index, value in values.items():
                assert value.shape == graph.tensors[index].shape and value.dtype == np.int8
            with suppress(OnnxruntimeError):  # it may refuse more
                for index, want in zip(graph.outputs, OnnxReference(data).run(*inputs),
                                       strict=True):
                    np.testing.assert_array_equal(values[index], want)
    return graph is not None


@pytest.mark.parametrize("form", MODELS)
def test_model_is_whole(form):
    assert survives(MODELS[form])


@pytest.mark.parametrize("form", MODELS)
@pytest.mark.parametrize("seed", range(2))
def test_flipped_bytes(form, seed):
    rng, accepted = np.random.default_rng(seed), 0
    for _ in range(400):
        data = np.frombuffer(MODELS[form], np.uint8).copy()
        where = rng.integers(0, len(data), rng.integers(1, 4))
        if rng.random() < 0.5:
            data[where] ^= 1 << rng.integers(0, 8, len(where)).astype(np.uint8)
        else:
            data[where] = rng.choice([0, 1, 2, 127, 128, 254, 255], len(where))
        accepted += survives(data.tobytes())
    assert 20 < accepted < 380  # both ends were tried


@pytest.mark.parametrize("form", MODELS)
def test_truncation(form):
    for length in range(0, len(MODELS[form]), 3):
        assert not survives(MODELS[form][:length])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    assert not survives(data)
