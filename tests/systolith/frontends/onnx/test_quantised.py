"""Networks that onnxruntime's own tool quantised, as people have them."""

import functools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_tensor_value_info
from onnxruntime import quantization

from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.frontends.onnx import read_onnx
from systolith.graph.interpreter import run_graph
from systolith.references.onnxruntime import OnnxReference
from systolith.runtime.simulated_accelerator import SimulatedAccelerator


def network():
    """A small residual network of floats, whose batch is left open."""
    rng, nodes, constants = np.random.default_rng(1), [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{output}",
                                      **attributes))
        return output

    def conv(x, y, cout, cin, k, **attributes):
        w = constant(f"{y}_w", rng.normal(0, 1 / np.sqrt(cin * k * k), (cout, cin, k, k)).astype(
            np.float32))
        b = constant(f"{y}_b", rng.normal(0, 0.3, cout).astype(np.float32))
        return node("Conv", [x, w, b], y, pads=[k // 2] * 4, **attributes)

    x = node("Relu", [conv("x", "a", 8, 3, 3)], "b")
    y = node("Clip", [conv(x, "c", 8, 1, 3, group=8), constant("zero", np.float32(0)),
                      constant("six", np.float32(6))], "d")
    y = node("Add", [x, conv(y, "e", 8, 8, 1)], "f")
    y = node("MaxPool", [node("Relu", [y], "g")], "h", kernel_shape=[2, 2], strides=[2, 2])
    y = node("LeakyRelu", [conv(y, "i", 6, 8, 3, strides=[2, 2])], "j", alpha=0.1)
    y = node("Concat", [y, node("Sigmoid", [y], "k")], "l", axis=1)
    y = node("AveragePool", [y], "m", kernel_shape=[2, 2])
    y = node("Flatten", [node("GlobalAveragePool", [y], "n")], "o")
    w = constant("w", rng.normal(0, 0.3, (12, 5)).astype(np.float32))
    y = node("Gemm", [y, w, constant("bias", rng.normal(0, 0.3, 5).astype(np.float32))], "p")
    node("Softmax", [y], "y")
    graph = helper.make_graph(
        nodes, "net", [make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 12, 10])],
        [make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])], constants)
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(4, 4, rounding="both", weight_bytes=1 << 19))


class Calibration(quantization.CalibrationDataReader):
    def __init__(self):
        rng = np.random.default_rng(2)
        self.rest = iter([{"x": rng.normal(size=(1, 3, 12, 10)).astype(np.float32)}
                          for _ in range(8)])

    def get_next(self):
        return next(self.rest, None)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    onnx.save(network(), path)
    return path


U8, S8 = quantization.QuantType.QUInt8, quantization.QuantType.QInt8


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("activations, weights, per_channel, options", [
    (U8, S8, False, {}), (U8, S8, True, {}), (S8, S8, True, {}), (U8, U8, False, {}),
    (S8, S8, False, {"ActivationSymmetric": True}), (U8, U8, False, {"WeightSymmetric": False})])
def test_static_quantisation(tmp_path, source, form, activations, weights, per_channel, options):
    path = tmp_path / "quantised.onnx"
    quantization.quantize_static(
        source, path, Calibration(), quant_format=quantization.QuantFormat[form],
        activation_type=activations, weight_type=weights, per_channel=per_channel,
        extra_options=options)
    graph, reference = read_onnx(path), OnnxReference(path)
    x = np.random.default_rng(3).integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(
        np.int8)
    golden, want = run_graph(graph, x), reference.layers(x)
    program = compile_graph(graph, accelerator().params, keep=True)
    accelerator().load(program)
    accelerated = accelerator().run(x).values
    assert len(want) >= 12 and set(graph.outputs) <= set(want) & set(accelerated)
    for index, value in want.items():
        for got in (golden, accelerated):
            np.testing.assert_array_equal(got[index], value, graph.tensors[index].name)
