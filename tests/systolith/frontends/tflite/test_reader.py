"""The reader of .tflite files: what it reads, and what it makes of damaged files."""

import copy
import re
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.reader import supported
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError
from systolith.zoo.digits import held_out, model_bytes
from tests.support.paths import MODELS

#: Operators of the digits network.
CONV, STRIDED, DEPTHWISE, POINTWISE, ADD, POOL, RESHAPE, DENSE, SOFTMAX = range(9)


class Altered:
    """The digits network, taken apart to be altered."""

    def __init__(self):
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_bytes(), 0))
        self.graph, = self.model.subgraphs
        self.tensors, self.operators = self.graph.tensors, self.graph.operators
        for operator in self.operators:
            operator.inputs, operator.outputs = operator.inputs.copy(), operator.outputs.copy()

    def add_constant(self, values):
        """Index of a new tensor of int32 ``values``."""
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        tensor.shape, tensor.buffer = np.array(values.shape, np.int32), len(self.model.buffers)
        tensor.name, tensor.type = "constant", schema.TensorType.INT32
        self.model.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def bytes(self):
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def assert_same(a, b):
    """The same graph, constants included."""
    for s, t in zip(a.tensors, b.tensors, strict=True):
        for name in ("name", "shape", "dtype", "scales", "zero_point", "axis"):
            assert getattr(s, name) == getattr(t, name)
        assert (s.data is None) == (t.data is None)
        if s.data is not None:
            assert s.data.dtype == t.data.dtype
            np.testing.assert_array_equal(s.data, t.data)
    assert (a.operators, a.inputs, a.outputs) == (b.operators, b.inputs, b.outputs)


@pytest.fixture(scope="module")
def digits():
    return read_tflite(model_bytes())


# What it reads

@pytest.mark.parametrize("name", ["kws_dscnn", "resnet8_cifar10"])
def test_published_networks(name):
    """Equal to what TensorFlow Lite Micro gave, for every input that is stored."""
    model = MODELS / f"{name}_int8.tflite"
    if not model.exists():
        pytest.skip(f"{model} is not there")
    stored = np.load(MODELS / f"{name}.npz")
    graph = read_tflite(model)
    got = run_graph(graph, stored["inputs"])[graph.outputs[0]]
    np.testing.assert_array_equal(got, stored["outputs"])
    assert_same(read_tflite(write_tflite(graph)), graph)


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_bytes(form, digits):
    assert_same(read_tflite(form(model_bytes())), digits)


@pytest.mark.parametrize("form", [Path, str])
def test_path(form, digits, tmp_path):
    path = tmp_path / "digits.tflite"
    path.write_bytes(model_bytes())
    assert_same(read_tflite(form(path)), digits)


def test_old_files_have_the_deprecated_code_alone(digits):
    altered = Altered()
    for code in altered.model.operatorCodes:
        code.builtinCode = 0
    assert_same(read_tflite(altered.bytes()), digits)


@pytest.mark.parametrize("name", ["builtinCode", "deprecatedBuiltinCode"])
def test_the_greater_of_two_codes_counts(name):
    altered = Altered()
    code = altered.model.operatorCodes[altered.operators[ADD].opcodeIndex]
    setattr(code, name, schema.BuiltinOperator.SUB)
    with pytest.raises(ModelError, match=r"operator 4 \(SUB\): not supported"):
        read_tflite(altered.bytes())


def test_biases_may_be_left_out():
    altered = Altered()
    for operator in (CONV, DEPTHWISE):
        altered.operators[operator].inputs[2] = -1
    altered.operators[DENSE].inputs = altered.operators[DENSE].inputs[:2]
    graph = read_tflite(altered.bytes())
    for operator in (CONV, DEPTHWISE, DENSE):
        assert graph.operand(graph.operators[operator], 2) is None
        assert not graph.bias(graph.operators[operator]).any()


def test_new_shape_may_be_an_operand(digits):
    altered = Altered()
    altered.operators[RESHAPE].builtinOptions.newShape = None
    altered.operators[RESHAPE].inputs = np.array(
        [14, altered.add_constant(np.array([-1, 32], np.int32))], np.int32)
    x, graph = held_out().images[:3], read_tflite(altered.bytes())
    np.testing.assert_array_equal(run_graph(graph, x)[graph.outputs[0]],
                                  run_graph(digits, x)[digits.outputs[0]])


def test_names_are_fit_to_be_printed():
    altered = Altered()
    altered.tensors[0].name = "red\x1b[31m\nline"
    altered.tensors[1].name = "x" * 100_000
    graph = read_tflite(altered.bytes())
    assert graph.tensors[0].name == "red\ufffd[31m\ufffdline"
    assert graph.tensors[1].name == "x" * 1024


# Files that are no models

@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL", b"\x1c\0\0\0TFL2" + bytes(99),
                                  b"\x7fELF" + bytes(99)])
def test_other_files(data):
    with pytest.raises(ModelError, match=r"^not a \.tflite model: it does not carry the identifier "
                                         r"TFL3$"):
        read_tflite(data)


def test_path_is_named(tmp_path):
    def refusal(path):
        with pytest.raises(ModelError) as raised:
            read_tflite(path)
        return str(raised.value)

    assert refusal(tmp_path / "none") == f"{tmp_path}/none: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"
    text = tmp_path / "text.tflite"
    text.write_text("nothing of the kind")
    assert refusal(text).startswith(f"{text}: not a .tflite model: ")


def test_neither_bytes_nor_path():
    with pytest.raises(TypeError):
        read_tflite(None)


# Models that are damaged or not supported as a whole

# Stands in a message for kinds of operators: other tests may register more of them.
SUPPORTED = "<kinds>"
DAMAGE = []


def says(message):
    """Registers a change that is answered by ``message``."""
    def register(change):
        DAMAGE.append(pytest.param(change, message, id=change.__name__))
        return change
    return register


@says("the model has no subgraph")
def no_subgraph(altered):
    altered.model.subgraphs = []


@says("the model has version 4 of the schema instead of 3")
def newer_schema(altered):
    altered.model.version = 4


@says("the model has no operators")
def no_operators(altered):
    altered.graph.operators = []


@says("the model is damaged: it claims 4097 operators, more than 4096")
def too_many_operators(altered):
    altered.graph.operators = altered.operators[:1] * 4097


@says("the model is damaged: it claims 1025 inputs in one place, more than 1024")
def too_many_operands(altered):
    altered.operators[ADD].inputs = np.zeros(1025, np.int32)


@says("the model is damaged: it claims 1048892 scales, more than 1048576")
def too_many_scales(altered):
    altered.tensors[3].quantization.scale = np.ones((1 << 20) + 81, np.float32)


@says("the model is not valid:\n  it has no inputs\n"
      "  operator 0 (CONV_2D) reads tensor 0 (image), which nothing has computed yet")
def no_inputs(altered):
    altered.graph.inputs = np.zeros(0, np.int32)


@says("the model is not valid:\n  it has no outputs")
def no_outputs(altered):
    altered.graph.outputs = np.zeros(0, np.int32)


@says("operator 4 names operator code 99, but there are 7")
def unknown_code(altered):
    altered.operators[ADD].opcodeIndex = 99


@says("operator 4 (ADD) names tensor 20, but there are 20")
def unknown_operand(altered):
    altered.operators[ADD].inputs[1] = 20


@says("operator 4 (ADD) names tensor -2, but there are 20")
def unknown_result(altered):
    altered.operators[ADD].outputs[0] = -2


@says("tensor 1 (0_conv_2d/weights) names buffer 99, but there are 11")
def unknown_buffer(altered):
    altered.tensors[1].buffer = 99


@says("the model's input is tensor -1, but there are 20")
def unknown_input(altered):
    altered.graph.inputs = np.array([-1], np.int32)


@says("the model is not valid:\n  an input is there twice")
def same_input_twice(altered):
    altered.graph.inputs = np.array([0, 0], np.int32)


@says("the model's input (0_conv_2d/weights) is not an int8 activation")
def constant_as_input(altered):
    altered.graph.inputs = np.array([0, 1], np.int32)


@says("the model's input (image) is not an int8 activation")
def float_input(altered):
    altered.tensors.append(copy.copy(altered.tensors[0]))
    altered.tensors[-1].type = schema.TensorType.FLOAT32
    altered.graph.inputs = np.array([0, 20], np.int32)


@says("the model is not valid:\n  the output tensor 1 (0_conv_2d/weights) is computed by nothing")
def constant_as_output(altered):
    altered.graph.outputs = np.array([1], np.int32)


@says("the model is not valid:\n  the output is tensor 99, but there are 20")
def unknown_output(altered):
    altered.graph.outputs = np.array([99], np.int32)


@says("the model is not valid:\n  operator 2 (CONV_2D) reads tensor 9 (2_depthwise_conv_2d), which "
      "nothing has computed yet")
def wrong_order(altered):
    altered.operators.insert(DEPTHWISE, altered.operators.pop(POINTWISE))


@says("the model is not valid:\n  operator 4 (ADD) reads tensor 13 (4_add), which nothing has "
      "computed yet")
def cycle(altered):
    altered.operators[ADD].inputs[0] = altered.operators[ADD].outputs[0]


@says("the model is not valid:\n"
      "  operator 4 (ADD) reads tensor 12 (3_conv_2d), which nothing has computed yet")
def not_computed(altered):
    altered.operators[POINTWISE].outputs[0] = 9
    altered.operators[POINTWISE].inputs[0] = 6


@says("tensor 3 (0_conv_2d) has the impossible shape (1, 8, 0, 16)")
def empty_tensor(altered):
    altered.tensors[3].shape = np.array([1, 8, 0, 16], np.int32)


@says("tensor 3 (0_conv_2d) has the impossible shape (1, -8, 8, 16)")
def negative_shape(altered):
    altered.tensors[3].shape = np.array([1, -8, 8, 16], np.int32)


@says("tensor 3 (0_conv_2d) has the impossible shape (1, 16384, 16384, 1)")
def enormous_tensor(altered):
    altered.tensors[3].shape = np.array([1, 1 << 14, 1 << 14, 1], np.int32)


@says("tensor 3 (0_conv_2d) has the impossible shape (1, 1, 1, 1, 1, 1, 1)")
def too_many_axes(altered):
    altered.tensors[3].shape = np.ones(7, np.int32)


@says("tensor 1 (0_conv_2d/weights) is sparse, which is not supported")
def sparse(altered):
    altered.tensors[1].sparsity = schema.SparsityParametersT()


@says("1 of 9 operators cannot run:\n  operator 1 (CONV_2D): its operand 0_conv_2d is a "
      "variable tensor, which is supported only where no other operator reads it, and a runtime "
      "runs that one")
def variable(altered):
    altered.tensors[3].isVariable = True


@says("tensor 1 (0_conv_2d/weights) has the unknown type 99")
def unknown_type(altered):
    altered.tensors[1].type = 99


@says("tensor 1 (0_conv_2d/weights) has 143 bytes of data instead of 144")
def too_little_data(altered):
    buffer = altered.model.buffers[altered.tensors[1].buffer]
    buffer.data = buffer.data[:-1]


@says("tensor 3 (0_conv_2d) has 1 scales and the zero points []")
def no_zero_points(altered):
    altered.tensors[3].quantization.zeroPoint = np.zeros(0, np.int64)


@says("tensor 3 (0_conv_2d) has 1 scales and the zero points [-128, -128]")
def too_many_zero_points(altered):
    altered.tensors[3].quantization.zeroPoint = np.full(2, -128, np.int64)


@says("tensor 3 (0_conv_2d) has 2 scales and the zero points [1, 0]")
def differing_zero_points(altered):
    altered.tensors[3].quantization.scale = np.ones(2, np.float32)
    altered.tensors[3].quantization.zeroPoint = np.array([1, 0], np.int64)


@says("2 of 9 operators cannot run:\n"
      "  operator 4 (FLOOR_DIV): not supported\n"
      "  operator 5 (AVERAGE_POOL_2D): input and output differ in scale or zero point: "
      "0.35945773124694824, -128 and 0.5, -128\n"
      f"  supported are {SUPPORTED}")
def several_operators(altered):
    """All that cannot run are named at once."""
    altered.model.operatorCodes[altered.operators[ADD].opcodeIndex].builtinCode = (
        schema.BuiltinOperator.FLOOR_DIV)
    altered.tensors[14].quantization.scale = np.array([0.5], np.float32)
    altered.tensors[15].quantization.scale = np.array([0.5], np.float32)


@pytest.mark.parametrize("change, message", DAMAGE)
def test_refuses(change, message):
    altered = Altered()
    change(altered)
    with pytest.raises(ModelError) as raised:
        read_tflite(altered.bytes())
    assert str(raised.value) == message.replace(SUPPORTED, ", ".join(supported()))


def test_every_prefix(digits):
    """Cut off anywhere: the last bytes are not needed to read the network, all others are."""
    data = model_bytes()
    for length in range(len(data)):
        try:
            graph = read_tflite(data[:length])
        except ModelError as error:
            assert re.match(r"(the model is damaged or truncated, convert or fetch it again|not a "
                            r"\.tflite model): ", str(error))
        else:
            assert length >= len(data) - 4
            assert_same(graph, digits)
