# amaranth: UnusedElaboratable=no
"""What comes behind the quantised part of a file, on onnxruntime, against the whole file there."""

import functools

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from systolith.compiler.fitting import small_build
from systolith.frontends.onnx import read_onnx
from systolith.graph.file_layout import from_graph
from systolith.graph.ir import ModelError
from systolith.references.comparison import Comparison
from systolith.references.onnxruntime import OnnxReference
from systolith.runtime.session import Session
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import int8, onnx_network


def with_tail(seed, dtype, *nodes, outputs):
    """A random network in QDQ form, whose output (name "tail") goes through further ``nodes``."""
    rng = np.random.default_rng([seed, dtype == "uint8"])
    model = onnx.ModelProto.FromString(onnx_network(rng, "qdq", dtype).model(floats=False))
    graph = model.graph
    last, = graph.output
    scale = numpy_helper.from_array(np.float32(0.05), "tail scale")
    zero = numpy_helper.from_array(np.array(3, dtype), "tail zero")
    graph.initializer.extend([scale, zero])
    graph.node.append(helper.make_node("DequantizeLinear", [last.name, scale.name, zero.name],
                                       ["tail"]))
    graph.node.extend(nodes)
    graph.ClearField("output")
    graph.output.extend(last if name == "own" else helper.make_tensor_value_info(name, kind, None)
                        for name, kind in outputs)
    return model.SerializeToString()


EXP = helper.make_node("Exp", ["tail"], ["exp"])
TAILS = {
    "function": ([EXP], [("exp", TensorProto.FLOAT)]),
    "best": ([helper.make_node("ArgMax", ["tail"], ["best"], axis=1)],
             [("best", TensorProto.INT64)]),
    "several": ([EXP, helper.make_node("ReduceSum", ["exp"], ["sum"])],
                [("sum", TensorProto.FLOAT), ("own", 0), ("exp", TensorProto.FLOAT)]),
}


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(4, 4, rounding="float32", weight_bytes=1 << 19))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("name", TAILS)
def test_as_the_whole_file(name, dtype):
    nodes, outputs = TAILS[name]
    for seed in range(2):
        data = with_tail(seed, dtype, *nodes, outputs=outputs)
        with pytest.raises(ModelError, match="cannot run:"):
            read_onnx(data)
        graph, reference = read_onnx(data, partition=True), OnnxReference(data)
        tail, = (op for op in graph.operators if op.kind == "RUNTIME")
        assert tail.attributes.form == "onnx" and "DequantizeLinear" in tail.attributes.names
        session = Session(graph, "golden")
        x = int8(np.random.default_rng(seed), graph.tensors[graph.inputs[0]].shape)
        run, = session.results(_as_file(session, x))
        for index, want in zip(graph.outputs, reference.run(x), strict=True):
            np.testing.assert_array_equal(run.values[index], want)


def _as_file(session, x):
    """Numbers of the graph as the file has them."""
    return from_graph(session.graph.tensors[session.graph.inputs[0]], x)


def test_on_the_accelerator():
    nodes, outputs = TAILS["several"]
    data = with_tail(1, "int8", *nodes, outputs=outputs)
    graph = read_onnx(data, partition=True)
    session, comparison = Session(graph, accelerator()), Comparison(data, graph, None, False)
    x = int8(np.random.default_rng(9), graph.tensors[graph.inputs[0]].shape)
    for run in session.results(_as_file(session, x)):
        comparison.take(run)
    assert session.program.rest[-1].kind == "RUNTIME" and len(session.program.segments) >= 1
    assert comparison.differing == 0 and comparison.compared > 2


def test_floats_from_the_first_operator_on_are_refused():
    graph = helper.make_graph(
        [helper.make_node("Exp", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(ModelError, match=r"operator 0 \(Exp\)"):
        read_onnx(data.SerializeToString(), partition=True)
