"""What each operator of an .onnx file becomes, and why others are refused."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_tensor_value_info

from systolith.frontends.onnx import read_onnx
from systolith.graph.file_layout import from_graph, to_graph
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError
from systolith.references import onnxruntime
from systolith.references.onnxruntime import OnnxReference

MICROSOFT = {"QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearGlobalAveragePool",
             "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", "QGemm"}

#: Constants that every model has.
CONSTANTS = {
    "s": np.float32(0.05), "z": np.int8(3), "s2": np.float32(0.1), "z2": np.int8(-7),
    "p": np.float32(1 / 256), "pz": np.int8(-128), "ws": np.float32(0.01), "wz": np.int8(0),
    "uz": np.uint8(120), "w": np.arange(-36, 36).astype(np.int8).reshape(4, 2, 3, 3),
    "u": np.arange(100, 172).astype(np.uint8).reshape(4, 2, 3, 3),
    "m": np.arange(-30, 30).astype(np.int8).reshape(12, 5), "b": np.arange(4).astype(np.int32),
    "nan": np.float32(np.nan), "zero": np.float32(0), "two": np.array([1, 2], np.float32),
    "f": np.ones((4, 2, 3, 3), np.float32), "flat": np.array([1, -1]), "one": np.float32(1)}

Q, Q2 = ["s", "z"], ["s2", "z2"]


def node(kind, inputs, output="y", **attributes):
    return helper.make_node(kind, inputs, [output], domain="com.microsoft" if kind in MICROSOFT
                            else "", **attributes)


def model(*nodes, shape=(1, 2, 6, 6), dtype="int8", output="int8", opset=17, outputs=("y",),
          constants=(), inputs=("x",)):
    known = CONSTANTS | dict(constants)
    used = {name for each in nodes for name in each.input}
    code = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "float": TensorProto.FLOAT,
            "int32": TensorProto.INT32}
    graph = helper.make_graph(
        list(nodes), "test", [make_tensor_value_info(name, code[dtype], shape) for name in inputs],
        [make_tensor_value_info(name, code[output], None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in known.items()
         if name in used])
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)],
    ).SerializeToString()


CONV = ["x", *Q, "w", "ws", "wz", *Q2]
MATMUL = ["x", *Q, "m", "ws", "wz", *Q2]


def dq(name, output, pair=Q, **attributes):
    return node("DequantizeLinear", [name, *pair], output, **attributes)


def q(name, output="y", pair=Q2):
    return node("QuantizeLinear", [name, *pair], output)


def qdq(kind, *more, pair=Q2, weights=None, **attributes):
    """An operator on floats between dequantised x and quantised y."""
    nodes = [dq("x", "xr")]
    if weights:
        nodes.append(dq(weights, "wr", ["ws", "wz"]))
    return [*nodes, node(kind, ["xr", *(["wr"] if weights else []), *more], "yr", **attributes),
            q("yr", pair=pair)]


def check(data, batch=1):
    """The graph of a model whose layers are all as those of onnxruntime; kinds of its operators."""
    graph = read_onnx(data)
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-128, 128, (batch, *graph.tensors[index].shape[1:])).astype(np.int8)
              for index in graph.inputs]
    got, want = run_graph(graph, *inputs), OnnxReference(data).layers(*inputs)
    assert set(graph.outputs) <= set(want) | set(graph.inputs)
    for index, value in want.items():
        np.testing.assert_array_equal(got[index], value)
    return graph, [operator.kind for operator in graph.operators]


SUMS = [node("MatMulInteger", ["x", "m", "z", "wz"], "i"), node("Cast", ["i"], "c", to=1)]


@pytest.mark.parametrize("nodes, kinds, options", [
    ([node("QLinearConv", [*CONV, "b"])], ["CONV_2D"], {}),
    ([node("QLinearConv", CONV, auto_pad="SAME_UPPER", strides=[2, 2])], ["CONV_2D"], {}),
    ([node("QLinearConv", CONV, auto_pad="SAME_LOWER", strides=[2, 2])], ["CONV_2D"], {}),
    ([node("QLinearConv", CONV, auto_pad="VALID")], ["CONV_2D"], {}),
    ([node("QLinearConv", CONV, group=2)], ["CONV_2D"], {"shape": (1, 4, 6, 6)}),
    ([node("QLinearConv", ["x", *Q, "d", "ws", "wz", *Q2], group=2)], ["DEPTHWISE_CONV_2D"],
     {"constants": {"d": np.arange(36).astype(np.int8).reshape(4, 1, 3, 3)}}),
    ([node("QLinearConv", ["x", *Q, "l", "ws", "wz", *Q2], pads=[1, 2])], ["CONV_2D"], {
        "shape": (1, 2, 9), "constants": {"l": np.arange(30).astype(np.int8).reshape(5, 2, 3)}}),
    ([node("QLinearConv", ["x", "s", "uz", "u", "ws", "uz", "s2", "uz"])], ["CONV_2D"],
     {"dtype": "uint8", "output": "uint8"}),
    ([node("QLinearConv", ["x", "s", "uz", "u", "ws", "k", "s2", "uz"])],
     ["CONCATENATION", "CONV_2D"],
     {"dtype": "uint8", "output": "uint8", "constants": {"k": np.uint8(3)}}),
    ([node("QLinearConv", ["x", "s", "uz", "u", "ws", "k", "s2", "uz"], group=2)],
     ["CONCATENATION", "CONV_2D"], {"dtype": "uint8", "output": "uint8", "shape": (1, 4, 6, 6),
                                    "constants": {"k": np.uint8(3)}}),
    ([dq("x", "r"), node("Relu", ["r"], "t"), node("MaxPool", ["t"], "t2", kernel_shape=[2, 2]),
      q("t2")], ["QUANTIZE", "MAX_POOL_2D", "QUANTIZE"], {}),
    ([node("QLinearMatMul", MATMUL)], ["FULLY_CONNECTED"], {"shape": (1, 12)}),
    ([node("QLinearMatMul", MATMUL)], ["FULLY_CONNECTED"], {"shape": (1, 3, 12)}),
    ([node("QGemm", ["x", *Q, "m", "ws", "wz", "b5", *Q2], transB=0)], ["FULLY_CONNECTED"],
     {"shape": (1, 12), "constants": {"b5": np.arange(5).astype(np.int32)}}),
    ([node("QLinearAdd", ["x", *Q, "x", *Q, *Q2])], ["ADD"], {}),
    ([node("QLinearConcat", [*Q, "x", *Q, "x", *Q2], axis=1)],
     ["RESHAPE", "QUANTIZE", "CONCATENATION"], {}),
    ([node("QLinearGlobalAveragePool", ["x", *Q, *Q2], channels_last=0)], ["MEAN"], {}),
    ([node("QLinearGlobalAveragePool", ["x", *Q, *Q2], channels_last=1)],
     ["MOVE", "MEAN"], {"shape": (1, 4, 5, 3)}),
    ([node("QLinearAveragePool", ["x", *Q, *Q2], kernel_shape=[2, 3])], ["AVERAGE_POOL_2D"], {}),
    ([node("QLinearAveragePool", ["x", *Q, "s", "z2"], kernel_shape=[4, 4], channels_last=1)],
     ["MOVE", "MEAN"], {"shape": (1, 4, 4, 32)}),
    ([node("QLinearSigmoid", ["x", *Q, "p", "pz"])], ["LOGISTIC"], {}),
    ([node("QLinearLeakyRelu", ["x", *Q, *Q2])], ["LEAKY_RELU"], {}),
    ([node("QLinearSoftmax", ["x", *Q, "p", "pz"], axis=1, opset=13)], ["SOFTMAX"], {}),
    ([node("MaxPool", ["x"], kernel_shape=[2, 2])], ["MAX_POOL_2D"], {}),
    ([node("MaxPool", ["x"], kernel_shape=[3])], ["MAX_POOL_2D"], {"shape": (1, 2, 9)}),
    (qdq("Conv", weights="w"), ["CONV_2D"], {}),
    (qdq("Conv", "fb", weights="w", pair=["fine", "z"]), ["CONV_2D"], {"constants": {
        "fine": np.float32(0.0007), "w": np.tile(np.int8([1, 0, -1]), 24).reshape(4, 2, 3, 3),
        "fb": np.array([0.0009, -0.2502, 0.7, -1.23456], np.float32)}}),
    (qdq("MatMul", weights="m"), ["FULLY_CONNECTED"], {"shape": (1, 12)}),
    (qdq("Gemm", weights="m"), ["FULLY_CONNECTED"], {"shape": (1, 12)}),
    (qdq("AveragePool", kernel_shape=[2, 2]), ["AVERAGE_POOL_2D"], {}),
    (qdq("AveragePool", kernel_shape=[4, 4], pair=["s", "z2"]), ["MEAN"], {"shape": (1, 32, 4, 4)}),
    (qdq("AveragePool", kernel_shape=[3, 4], pads=[0, 0, 1, 0]), ["AVERAGE_POOL_2D"],
     {"shape": (1, 9, 3, 4)}),
    (qdq("GlobalAveragePool"), ["MEAN"], {}),
    (qdq("Sigmoid", pair=["p", "pz"]), ["LOGISTIC"], {}),
    (qdq("LeakyRelu", alpha=0.3), ["LEAKY_RELU"], {}),
    (qdq("Softmax", pair=["p", "pz"], axis=1), ["SOFTMAX"], {}),
    (qdq("LRN", size=3, alpha=0.5), ["LOCAL_RESPONSE_NORMALIZATION"], {"shape": (1, 7, 5, 4)}),
    (qdq("LRN", size=5, alpha=9.0, beta=1.3, bias=2.0), ["LOCAL_RESPONSE_NORMALIZATION"],
     {"shape": (1, 70, 28, 29)}),
    (qdq("LRN", size=9), ["LOCAL_RESPONSE_NORMALIZATION"], {"shape": (1, 3, 6, 4)}),
    (qdq("Relu"), ["QUANTIZE"], {}),
    (qdq("Clip", "zero", "one"), ["QUANTIZE"], {}),
    (qdq("MaxPool", pair=Q, kernel_shape=[2, 2]), ["MAX_POOL_2D"], {}),
    (qdq("MaxPool", kernel_shape=[2, 2]), ["MAX_POOL_2D", "QUANTIZE"], {}),
    ([dq("x", "xr"), dq("z", "fill"), node("Pad", ["xr", "pads", "fill"], "yr"), q("yr", pair=Q)],
     ["PAD"], {"constants": {"pads": np.array([0, 0, 2, 1, 0, 0, 0, 3])}}),
    (qdq("Pad", "pads", pair=Q), ["PAD"], {"constants": {
        "pads": np.array([0, 0, 1, 2, 0, 0, 3, 0])}}),
    (qdq("Resize", "", "scales", pair=Q, mode="nearest"), ["RESIZE_NEAREST_NEIGHBOR"],
     {"constants": {"scales": np.array([1, 1, 2, 2], np.float32)}}),
    ([*qdq("Conv", weights="w")[:-1], node("Relu", ["yr"], "r"), q("r")], ["CONV_2D"], {}),
    ([*SUMS, node("Mul", ["c", "quarter"], "r"), q("r", pair=["half", "z"])], ["FULLY_CONNECTED"],
     {"shape": (1, 12), "constants": {"quarter": np.float32(0.003), "half": np.float32(0.5)}}),
    ([node("ConvInteger", ["x", "w", "z", "wz"], "i"), node("Add", ["i", "b4"], "a"),
      dq("a", "r", ["ws"]), node("Relu", ["r"], "t"), q("t", pair=["half", "z"])], ["CONV_2D"],
     {"constants": {"half": np.float32(0.5), "b4": np.arange(4).reshape(4, 1, 1).astype("int32")}}),
])
def test_operators(nodes, kinds, options):
    assert check(model(*nodes, **options))[1] == kinds


def both_types():
    """A file whose activations are uint8 first, and int8 later."""
    unsigned = ["s", "uz"]
    return model(
        dq("x", "xr", unsigned), dq("w", "wr", ["ws", "wz"]), node("Conv", ["xr", "wr"], "yr"),
        q("yr", "a", unsigned), dq("a", "ar", unsigned), q("ar", "i", Q), dq("i", "ir"),
        dq("v", "vr", ["ws", "wz"]), node("Conv", ["ir", "vr"], "zr"), q("zr"), dtype="uint8",
        constants={"v": np.arange(-72, 72).astype(np.int8).reshape(4, 4, 3, 3)})


def test_uint8_and_int8_in_one_file(monkeypatch):
    if not onnxruntime._saturates():
        assert check(both_types())[1] == ["CONV_2D", "QUANTIZE", "CONV_2D"]
    monkeypatch.setattr(onnxruntime, "_saturates", lambda: True)
    check(model(node("QLinearConv", ["x", "s", "uz", "w", "ws", "wz", "s2", "uz"]), dtype="uint8",
                output="uint8"))
    with pytest.raises(onnxruntime.OnnxruntimeError, match="compare on a CPU with VNNI$"):
        check(both_types())


ADD = node("QLinearAdd", ["x", *Q, "x", *Q, *Q2])

INTS = {name: np.array(numbers, np.int64) for name, numbers in {
    "begin": [1, -1], "end": [5, -9], "axes": [2, 3], "steps": [2, -1], "times": [1, 2, 1, 3],
    "index": [1, 0, 0], "sizes": [2, 4], "wide": [1, 2, 6, 6],
    "pads": [0, 1, 2, 0, 0, 2, 1, 3]}.items()}


@pytest.mark.parametrize("nodes, kinds, options", [
    ([node("Slice", ["x", "begin", "end", "axes", "steps"])], ["MOVE"], {}),
    (qdq("Slice", "begin", "end", "axes", "steps"), ["MOVE", "QUANTIZE"], {}),
    ([node("Gather", ["x", "index"], axis=1)], ["MOVE"], {}),
    ([node("Tile", ["x", "times"])], ["MOVE"], {}),
    ([node("Expand", ["x", "wide"])], ["MOVE"], {"shape": (1, 2, 1, 6)}),
    ([node("DepthToSpace", ["x"], blocksize=2)], ["MOVE"], {"shape": (1, 8, 2, 3)}),
    ([node("DepthToSpace", ["x"], blocksize=2, mode="CRD")], ["MOVE"], {"shape": (1, 8, 2, 3)}),
    ([node("SpaceToDepth", ["x"], blocksize=3)], ["MOVE"], {}),
    (qdq("Pad", "pads", pair=Q, mode="edge"), ["MOVE"], {}),
    (qdq("Pad", "pads", pair=Q), ["PAD"], {}),
    ([node("QLinearConcat", [*Q, "x", *Q, "x", *Q], axis=3)], ["CONCATENATION"], {}),
    ([node("QLinearConcat", [*Q, "x", *Q, "x", *Q], axis=2)], ["CONCATENATION"],
     {"shape": (1, 3, 4, 5, 2)}),
    ([node("Transpose", ["x"], "t", perm=[0, 1, 3, 2]), node("QLinearConv", ["t", *CONV[1:]])],
     ["MOVE", "CONV_2D"], {}),
    ([ADD, node("Transpose", ["y"], "t", perm=[0, 2, 1, 3])], ["ADD", "MOVE"],
     {"outputs": ("t",)}),
    ([helper.make_node("Split", ["x", "sizes"], ["a", "c"], axis=2),
      node("QLinearAdd", ["a", *Q, "a", *Q, *Q2]),
      node("MaxPool", ["c"], "m", kernel_shape=[2, 2])],
     ["MOVE", "MOVE", "ADD", "MAX_POOL_2D"], {"outputs": ("y", "m")}),
    ([helper.make_node("Split", ["x"], ["a", "c", "d"], axis=3)], ["MOVE"] * 3,
     {"outputs": ("a", "c", "d")}),
])
def test_movements(nodes, kinds, options):
    assert check(model(*nodes, constants=INTS, **options))[1] == kinds


def test_channels_last():
    data = model(node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]),
                 node("QLinearConv", ["t", *CONV[1:]], "c"),
                 node("Transpose", ["c"], "n", perm=[0, 2, 3, 1]),
                 node("QLinearGlobalAveragePool", ["n", *Q2, *Q], channels_last=1),
                 shape=(1, 6, 6, 2))
    graph, kinds = check(data)
    assert kinds == ["CONV_2D", "MEAN"]
    assert [graph.tensors[index].layout for index in (*graph.inputs, *graph.outputs)] == [
        "NHWC", "NHWC"]


def test_flattened_weights_are_permuted():
    weights = np.arange(2 * 3 * 4 * 5).reshape(24, 5) % 251 - 125
    for kind, more, constants in (("Flatten", [], {}), ("Reshape", ["flat"], {})):
        data = model(node(kind, ["x", *more], "t"), node("QLinearMatMul", ["t", *MATMUL[1:]]),
                     shape=(1, 2, 3, 4), constants={"m": weights.astype(np.int8), **constants})
        assert check(data)[1] == ["FULLY_CONNECTED"]


def test_edges():
    data = model(node("MaxPool", ["x"], kernel_shape=[1, 1]), dtype="uint8", output="uint8",
                 shape=("batch", 2, 3, 4))
    graph, _ = check(data, batch=3)
    x = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
    tensor = graph.tensors[graph.inputs[0]]
    assert (tensor.shape, tensor.layout, tensor.unsigned) == ((1, 3, 4, 2), "NCHW", True)
    inner = to_graph(tensor, x)
    assert inner[0, 1, 2, 1] == int(x[0, 1, 1, 2]) - 128
    np.testing.assert_array_equal(from_graph(tensor, inner), x)
    with pytest.raises(TypeError, match=r"^input x must be uint8, not int8$"):
        to_graph(tensor, x.astype(np.int8))


def test_several_inputs_and_outputs():
    data = model(node("QLinearAdd", ["x", *Q, "x2", *Q2, *Q], "a"),
                 node("QLinearConv", ["a", *CONV[1:]], "y"), inputs=("x", "x2"), outputs=("y", "a"))
    graph, kinds = check(data)
    assert (kinds, len(graph.inputs), len(graph.outputs)) == (["ADD", "CONV_2D"], 2, 2)


@pytest.mark.parametrize("kind, shape, attributes", [
    ("Flatten", (1, 72, 1, 1), {}), ("Transpose", (1, 2, 6, 6), {"perm": [0, 2, 3, 1]})])
@pytest.mark.parametrize("last", [[], [q("t", pair=Q)], [q("t", "v", Q), dq("v", "y")]])
def test_outputs_that_are_moved(kind, shape, attributes, last):
    """What the file calls otherwise within than at its end, or has there alone."""
    nodes = [*qdq("LeakyRelu", pair=Q)[:2], q("yr", "i", Q), dq("i", "r"),
             node(kind, ["r" if last else "i"], "t" if last else "y", **attributes), *last]
    data = model(*nodes, shape=shape, output="float" if len(last) == 2 else "int8")
    graph = read_onnx(data)
    x = np.arange(72).astype(np.int8).reshape(graph.tensors[graph.inputs[0]].shape)
    y, = OnnxReference(data).run(x)
    np.testing.assert_array_equal(y, run_graph(graph, x)[graph.outputs[0]])


def test_constants_as_inputs():
    """Older files list their constants among the inputs."""
    proto = onnx.ModelProto.FromString(model(node("QLinearConv", CONV)))
    for each in proto.graph.initializer:
        proto.graph.input.append(make_tensor_value_info(each.name, each.data_type, each.dims))
    assert check(proto.SerializeToString())[1] == ["CONV_2D"]


def test_shapes_are_computed():
    nodes = [node("Shape", ["x"], "t1"), node("Gather", ["t1", "k"], "t2"),
             node("Unsqueeze", ["t2", "axes"], "t3"),
             node("Concat", ["t3", "minus"], "t4", axis=0),
             node("Reshape", ["x", "t4"], "t5"), node("QLinearMatMul", ["t5", *MATMUL[1:]])]
    data = model(*nodes, shape=(1, 2, 3, 2), constants={
        "k": np.int64(0), "axes": np.array([0]), "minus": np.array([-1])})
    assert check(data)[1] == ["FULLY_CONNECTED"]


@pytest.mark.parametrize("opset, nodes", [
    (11, [node("Squeeze", ["x"], "a", axes=[2, 3]), node("QLinearMatMul", ["a", *MATMUL[1:]])]),
    (13, [node("Squeeze", ["x", "axes"], "a"), node("QLinearMatMul", ["a", *MATMUL[1:]])]),
    (12, [node("Unsqueeze", ["x"], "a", axes=[4]), node("Flatten", ["a"], "t"),
          node("QLinearMatMul", ["t", *MATMUL[1:]])]),
])
def test_operator_sets(opset, nodes):
    assert check(model(*nodes, shape=(1, 12, 1, 1), opset=opset, constants={
        "axes": np.array([2, 3])}))[1] == ["FULLY_CONNECTED"]


REFUSALS = [
    ([node("Erf", ["x"])], {}, "operator 0 (Erf): not supported"),
    ([helper.make_node("QLinearMul", ["x"], ["y"], domain="com.microsoft")], {},
     "(QLinearMul): not supported in the domain com.microsoft"),
    ([node("BatchNormalization", ["x", "s", "s", "s", "s"])], {}, "fold it into the convolution"),
    ([node("DynamicQuantizeLinear", ["x"])], {}, "quantise statically"),
    ([*qdq("ConvTranspose", weights="w")], {}, "computes it in float32"),
    ([*qdq("ReduceMean")], {}, "GlobalAveragePool can take its place"),
    ([node("QLinearConv", CONV[:5])], {}, "it has 5 inputs"),
    ([node("Shape", [""], "t")], {}, "operator 0 (Shape): input 0 is left out"),
    ([node("QLinearMatMul", ["x", *Q, "scalar", "ws", "pair", *Q2])],
     {"constants": {"scalar": np.int8(1), "pair": np.zeros(2, np.int8)}},
     "2 zero points instead of 1"),
    ([node("QLinearConv", ["x", *Q, "x", "ws", "wz", *Q2])], {}, "the weights (input 3) are not"),
    ([node("QLinearConv", ["x", "two", "z", *CONV[3:]])], {}, "scale has 2 elements instead of 1"),
    ([node("QLinearConv", ["x", "nan", "z", *CONV[3:]])], {}, "nan, which is not positive"),
    ([node("QLinearConv", ["x", "zero", "z", *CONV[3:]])], {}, "0.0, which is not positive"),
    ([node("QLinearConv", ["x", "s", "uz", *CONV[3:]])], {}, "differ in type"),
    ([node("QLinearConv", ["x", *Q, "f", "ws", "wz", *Q2])], {}, "float32"),
    ([node("QLinearConv", [*CONV, "s"])], {}, "the biases are float32"),
    ([node("QLinearConv", ["x", *Q, "w", "two", "wz", *Q2])], {}, "2 scales instead of 1 or 4"),
    ([node("QLinearConv", ["x", *Q, "w", "ws", "wz", "tiny", "z"])],
     {"constants": {"tiny": np.float32(1e-6)}}, "only factors below 8"),
    ([node("QLinearConv", CONV, group=3)], {}, "do not fit each other"),
    ([node("QLinearConv", CONV, kernel_shape=[2, 2])], {}, "kernel_shape"),
    ([node("QLinearConv", CONV, strides=[0, 1])], {}, "the stride (0, 1)"),
    ([node("QLinearConv", CONV, pads=[-1, 0, 0, 0])], {}, "the paddings"),
    ([node("QLinearConv", CONV, dilations=[9, 9])], {}, "is larger than"),
    ([node("QLinearConv", CONV, auto_pad="ODD")], {}, "'ODD' is not known"),
    ([node("QLinearConv", CONV)], {"shape": (1, 2)}, "only convolutions over one or two axes"),
    ([node("QLinearConv", ["x", "s", "uz", "many", "ws", "k", "s2", "uz"], group=512)],
     {"dtype": "uint8", "shape": (1, 512, 3, 3), "constants": {
         "k": np.uint8(3), "many": np.full((512, 1, 3, 3), 200, np.uint8)}},
     "512 groups are too many"),
    ([node("QLinearMatMul", MATMUL)], {"shape": (1, 11)}, "as many lines as the input has columns"),
    ([node("QLinearMatMul", ["x", *Q, "stack", "ws", "wz", *Q2])],
     {"shape": (2, 3, 4), "constants": {"stack": np.ones((2, 4, 5), np.int8)}}, "only a matrix"),
    ([node("QGemm", ["x", *Q, "m", "ws", "wz", ""])], {"shape": (1, 12)}, "its result is float32"),
    ([node("QGemm", ["x", *Q, "m", "ws", "wz", "", *Q2], alpha=2.0)], {"shape": (1, 12)},
     "only products"),
    ([node("QLinearAdd", ["x", *Q, "x2", *Q, *Q2])], {"constants": {"x2": np.int8(1)}},
     "input 3 is a constant"),
    ([node("QLinearSoftmax", ["x", *Q, "p", "pz"], axis=2, opset=13)], {}, "along axis 2"),
    ([node("QLinearConcat", [*Q, "x", *Q, "x", *Q], axis=0)], {}, "puts images together"),
    (qdq("Softmax", pair=["p", "pz"], axis=2), {},
     "operator 2 (QuantizeLinear): of Softmax, whose result it quantises: it goes along axis 2"),
    (qdq("LRN", size=0), {}, "the size 0 is not an odd number"),
    (qdq("LRN", size=2), {}, "the size 2 is not an odd number"),
    (qdq("LRN", size=3, bias=-1.0), {}, "only positive numbers"),
    ([node("QLinearAveragePool", ["x", *Q, *Q2], kernel_shape=[2, 2], pads=[2, 0, 0, 0])], {},
     "is not smaller than the kernel"),
    ([node("QLinearAveragePool", ["x", *Q, *Q2], kernel_shape=[4, 4], strides=[3, 3],
           ceil_mode=1)], {}, "ceil_mode"),
    ([node("MaxPool", ["x"], kernel_shape=[2, 2], dilations=[2, 2])], {}, "the dilation (2, 2)"),
    ([node("MaxPool", ["x"], kernel_shape=[2, 2, 2])], {}, "does not go over 2 axes"),
    ([node("Reshape", ["x", "bad"], "t")], {"constants": {"bad": np.array([7, 2])}},
     "(1, 2, 6, 6) cannot take the shape (7, 2)"),
    ([node("Pad", ["x", "pads"])], {"constants": {"pads": np.array([1, 0, 0, 0, 0, 0, 0, 0])}},
     "pad images"),
    (qdq("Pad", "pads", "one"), {"constants": {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}},
     "pads with 1.0 instead of the zero point"),
    ([dq("x", "xr"), dq("one8", "fill"), node("Pad", ["xr", "pads", "fill"], "yr"), q("yr")],
     {"constants": {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "one8": np.int8(23)}},
     "pads with 1.0 instead of the zero point"),
    (qdq("Pad", "pads", mode="other"), {"constants": {"pads": np.array([0] * 8)}},
     "the mode 'other' is not one of constant, reflect, edge, wrap"),
    ([node("Gather", ["x", "flat"], axis=9)], {}, "its axis 9 is not one of 4"),
    ([node("Slice", ["x", "flat", "b"])], {}, "do not fit each other"),
    ([node("DepthToSpace", ["x"], blocksize=2)], {}, "blocks of 2 do not divide (1, 2, 6, 6)"),
    ([node("Expand", ["x", "flat"])], {}, "cannot be broadcast to [1, -1]"),
    ([node("Gather", ["x", "b"], axis=0)], {}, "indices are out of range"),
    (qdq("Resize", "", "scales", mode="linear"), {"constants": {"scales": np.ones(4, "f")}},
     "the mode 'linear'"),
    (qdq("Resize", "", "scales"), {"constants": {"scales": np.array([1, 1, 1.5, 2], "f")}},
     "are not whole ones"),
    (qdq("Resize", "", "scales", nearest_mode="ceil"),
     {"constants": {"scales": np.array([1, 1, 2, 2], "f")}}, "more than to repeat each pixel"),
    ([dq("x", "r"), node("Conv", ["r", "f"], "c"), q("c")], {}, "not a dequantised constant"),
    ([node("Conv", ["x", "w"], "c"), q("c")], {}, "not an activation of dequantised int8"),
    ([dq("x", "r"), node("Relu", ["r"], "t"), dq("w", "wr", ["ws", "wz"]),
      node("Conv", ["t", "wr"], "c"), q("c")], {}, "quantise it in between"),
    ([dq("x", "r"), dq("w", "wr", ["ws", "wz"]), dq("b", "br", ["s"]),
      node("Conv", ["r", "wr", "br"], "c"), q("c")], {}, "another scale than the sums"),
    ([dq("x", "r"), node("QuantizeLinear", ["r", "two", "pair"], "y")],
     {"constants": {"pair": np.zeros(2, np.int8)}}, "scale has 2 elements"),
    ([*SUMS, node("Mul", ["c", "k"], "r"), node("Add", ["r", "p"], "t"), q("t", pair=["k2", "z"])],
     {"shape": (1, 12), "constants": {"k": np.float32(0.0123), "k2": np.float32(0.0777)}},
     "that no single factor"),
    ([*SUMS, node("Mul", ["c", "minus"], "r"), q("r")],
     {"shape": (1, 12), "constants": {"minus": np.float32(-1)}}, "only positive"),
    ([dq("x", "r"), node("Mul", ["r", "s"], "t"), q("t")], {}, "not supported but for the scales"),
    ([dq("x", "r"), node("Cast", ["r"], "t", to=6)], {}, "not supported but from integer sums"),
    ([dq("x", "r", block_size=2)], {}, "scales for blocks"),
    ([node("QLinearConv", CONV, "a", strides=[0, 1]), node("Erf", ["a"], "y")], {},
     "4096\n  operator 1 (Erf): not supported\n  these are supported: Add, "),
    ([helper.make_node("Erf", ["x"], ["y"], name="act")], {}, "operator 0 (Erf 'act'): not "),
]


@pytest.mark.parametrize("nodes, options, reason", REFUSALS)
def test_refused_operator(nodes, options, reason):
    with pytest.raises(ModelError, match=re.escape(reason)):
        read_onnx(model(*nodes, **options))


@pytest.mark.parametrize("data, reason", [
    (model(ADD, dtype="int32"), "the model's input 'x' is INT32, not INT8, UINT8 or FLOAT"),
    (model(ADD, dtype="float"), "input 0 is a float that nothing has quantised"),
    (model(ADD, shape=None), "has no shape"),
    (model(ADD, shape=(1, 2, "h", 3)), "all sizes but the first must be known"),
    (model(ADD, shape=(1, 1 << 12, 1 << 12)), "impossible shape"),
    (model(ADD, outputs=("other",)), "the model's output is 'other', which nothing computes"),
    (model(ADD, outputs=()), "the model has no outputs"),
    (model(ADD, inputs=()), "the model has no inputs"),
    (model(ADD, opset=5), "asks for version 5 of the operators ''"),
    (model(ADD, ADD), "'y' is there twice"),
    (model(node("QLinearAdd", ["a", *Q, "x", *Q, *Q2])), "reads 'a', which nothing has computed"),
    (model(dq("x", "y")), "no operator that computes anything"),
    (model(), "the model has 0 operators"),
    (model(*qdq("Conv", weights="w")[:-1], outputs=("yr",)), "'yr' is not quantised"),
    (model(*qdq("Conv", weights="w"), dq("y", "r", Q2), node("Relu", ["r"], "t"), outputs=("t",)),
     "a Relu or Clip that nothing has quantised"),
    (model(ADD, node("Transpose", ["y"], "t", perm=[2, 0, 1, 3]), outputs=("t",)),
     "its first axis is not that of the images"),
])
def test_refused_model(data, reason):
    with pytest.raises(ModelError, match=re.escape(reason)):
        read_onnx(data)


def test_constants_of_other_files_and_kinds():
    proto = onnx.ModelProto.FromString(model(ADD))
    proto.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(ModelError, match="give the model by its path, or save it as one file"):
        read_onnx(proto.SerializeToString())
    proto = onnx.ModelProto.FromString(model(ADD))
    proto.graph.initializer[0].dims.extend([1 << 40])
    with pytest.raises(ModelError, match="impossible shape"):
        read_onnx(proto.SerializeToString())
    proto = onnx.ModelProto.FromString(model(ADD))
    proto.graph.initializer[0].data_type = TensorProto.STRING
    with pytest.raises(ModelError, match="holds text"):
        read_onnx(proto.SerializeToString())


def test_files(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(node("Erf", ["x"])))
    with pytest.raises(ModelError, match=r"^.*net\.onnx: 1 of 1 operators cannot run:"):
        read_onnx(path)
    with pytest.raises(ModelError, match=r"missing\.onnx: No such file or directory$"):
        read_onnx(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="not an .onnx model"):
        read_onnx(b"nothing of the kind")
