"""Two pairs of QuantizeLinear and DequantizeLinear, against onnxruntime, which merges them."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from systolith.frontends.onnx import read_onnx
from systolith.frontends.onnx.pairs import merge_pairs
from systolith.graph.interpreter import run_graph
from systolith.references.onnxruntime import OnnxReference

TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def two_pairs(rng, dtype, also=None, pairs=2):
    """A network whose input is quantised several times; ``also`` is an output in between."""
    limits = np.iinfo(dtype)
    scales = rng.uniform(0.005, 0.05, pairs + 2).astype(np.float32)
    zeros = rng.integers(limits.min, limits.max + 1, pairs + 2)
    constants = [numpy_helper.from_array(np.array(value, kind), f"{name}{n}")
                 for n in range(pairs + 2) for name, value, kind in (
                     ("s", scales[n], np.float32), ("z", zeros[n], dtype))]
    nodes = [helper.make_node("DequantizeLinear", ["x", "s0", "z0"], ["d0"]),
             helper.make_node("MaxPool", ["d0"], ["m"], kernel_shape=[2, 2])]
    last = "m"
    for n in range(1, pairs + 1):
        nodes += [helper.make_node("QuantizeLinear", [last, f"s{n}", f"z{n}"], [f"q{n}"]),
                  helper.make_node("DequantizeLinear", [f"q{n}", f"s{n}", f"z{n}"], [f"d{n}"])]
        last = f"d{n}"
    nodes += [helper.make_node("MaxPool", [last], ["n"], kernel_shape=[2, 2]),
              helper.make_node("QuantizeLinear", ["n", "s1", "z1"], ["y"])]
    outputs = [helper.make_tensor_value_info(name, TYPES[dtype], None)
               for name in ("y", *([also] if also else []))]
    graph = helper.make_graph(
        nodes, "pairs", [helper.make_tensor_value_info("x", TYPES[dtype], [1, 2, 9, 9])], outputs,
        constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                             ir_version=9).SerializeToString()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("also", [None, "q1", "q2"])
def test_as_onnxruntime(dtype, also):
    """With results in between as outputs they are not merged."""
    rng = np.random.default_rng(len(dtype))
    for _ in range(12):
        data = two_pairs(rng, dtype, also)
        graph, reference = read_onnx(data), OnnxReference(data)
        x = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
        got = run_graph(graph, x)
        for index, want in zip(graph.outputs, reference.run(x), strict=True):
            np.testing.assert_array_equal(got[index], want)
        model = ModelProto.FromString(data)
        assert len(model.graph.node) - len(merge_pairs(model).graph.node) == (0 if also else 2)
