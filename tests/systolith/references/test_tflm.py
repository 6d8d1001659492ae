"""Models on TensorFlow Lite Micro."""

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.references.tflm import run_tflm


def test_layouts_of_older_files():
    """Their operators have the deprecated code alone."""
    order, scale = np.array([0, 2, 3, 1], np.int32), {"scales": (0.05,)}
    graph = Graph(
        tensors=(Tensor(name="x", shape=(1, 3, 4, 5), **scale),
                 Tensor(name="order", shape=(4,), dtype="int32", data=order),
                 Tensor(name="turned", shape=(1, 4, 5, 3), **scale),
                 Tensor(name="y", shape=(1, 4, 5, 3), **scale)),
        operators=(make_operator("TRANSPOSE", (0, 1), (2,), {"order": (0, 2, 3, 1)}),
                   make_operator("RELU", (2,), (3,), index=1)), inputs=(0,), outputs=(3,))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(write_tflite(graph), 0))
    for code in model.operatorCodes:
        code.builtinCode = 0
    builder = flatbuffers.Builder(1 << 10)
    builder.Finish(model.Pack(builder), b"TFL3")
    x = np.random.default_rng(1).integers(-128, 128, (1, 3, 4, 5)).astype(np.int8)
    y, = run_tflm(bytes(builder.Output()), x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(y, np.maximum(x, 0).transpose(0, 2, 3, 1))
