"""The reader of .tflite files: what it reads, and what it makes of damaged files."""

import copy
import re
import subprocess
import sys
import time
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from host.digits import held_out, model_bytes
from host.golden_run import run_graph
from host.graph import ModelError
from host.tflite import read_tflite
from host.tflite_writer import write_tflite

MODELS = Path(__file__).parent.joinpath("..", "..", "shared", "models")

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
    x, graph = held_out().pictures[:3], read_tflite(altered.bytes())
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

DAMAGE = []


def says(message):
    """Registers a change that is answered by ``message``."""
    def register(change):
        DAMAGE.append(pytest.param(change, message, id=change.__name__))
        return change
    return register


@says("the model has 0 subgraphs instead of 1")
def no_subgraph(altered):
    altered.model.subgraphs = []


@says("the model has 2 subgraphs instead of 1")
def two_subgraphs(altered):
    altered.model.subgraphs *= 2


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


@says("the model has 0 inputs and 1 outputs")
def no_inputs(altered):
    altered.graph.inputs = np.zeros(0, np.int32)


@says("the model has 1 inputs and 0 outputs")
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


@says("the model's input (picture) is not an int8 activation")
def same_input_twice(altered):
    altered.graph.inputs = np.array([0, 0], np.int32)


@says("the model's input (0_conv_2d/weights) is not an int8 activation")
def constant_as_input(altered):
    altered.graph.inputs = np.array([0, 1], np.int32)


@says("the model's input (picture) is not an int8 activation")
def float_input(altered):
    altered.tensors.append(copy.copy(altered.tensors[0]))
    altered.tensors[-1].type = schema.TensorType.FLOAT32
    altered.graph.inputs = np.array([0, 20], np.int32)


@says("the model's output is tensor 1, which nothing computes")
def constant_as_output(altered):
    altered.graph.outputs = np.array([1], np.int32)


@says("the model's output is tensor 99, which nothing computes")
def unknown_output(altered):
    altered.graph.outputs = np.array([99], np.int32)


@says("operator 2 (CONV_2D) reads tensor 9, which nothing has computed yet")
def wrong_order(altered):
    altered.operators.insert(DEPTHWISE, altered.operators.pop(POINTWISE))


@says("operator 4 (ADD) reads tensor 13, which nothing has computed yet")
def cycle(altered):
    altered.operators[ADD].inputs[0] = altered.operators[ADD].outputs[0]


@says("operator 3 (CONV_2D) computes tensor 9, which is there already")
def computed_twice(altered):
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


@says("tensor 1 (0_conv_2d/weights) is sparse or a variable, which is not supported")
def sparse(altered):
    altered.tensors[1].sparsity = schema.SparsityParametersT()


@says("tensor 3 (0_conv_2d) is sparse or a variable, which is not supported")
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
      "  operator 4 (MUL): not supported; these are: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, "
      "ADD, AVERAGE_POOL_2D, MAX_POOL_2D, RESHAPE, SOFTMAX, PAD\n"
      "  operator 5 (AVERAGE_POOL_2D): input and output differ in scale or zero point: "
      "0.35945773124694824, -128 and 0.5, -128")
def several_operators(altered):
    """All that cannot run are named at once."""
    altered.model.operatorCodes[altered.operators[ADD].opcodeIndex].builtinCode = (
        schema.BuiltinOperator.MUL)
    altered.tensors[14].quantization.scale = np.array([0.5], np.float32)
    altered.tensors[15].quantization.scale = np.array([0.5], np.float32)


@pytest.mark.parametrize("change, message", DAMAGE)
def test_refuses(change, message):
    altered = Altered()
    change(altered)
    with pytest.raises(ModelError) as raised:
        read_tflite(altered.bytes())
    assert str(raised.value) == message


# Damage of any kind: an error, or a graph that is whole. Never another exception, never a hang.

def survives(data):
    """Reads ``data``; returns whether it was accepted, and then runs too."""
    start = time.monotonic()
    try:
        graph = read_tflite(data)
    except ModelError as error:
        graph = None
        assert str(error)
    assert time.monotonic() - start < 2
    if graph is not None:
        inputs = [np.zeros(graph.tensors[index].shape, np.int8) for index in graph.inputs]
        for index, value in run_graph(graph, *inputs).items():
            assert value.shape == graph.tensors[index].shape and value.dtype == np.int8
    return graph is not None


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


def numbers_of(graph):
    """Bytes of the file that are neither weights nor biases of a length to speak of."""
    data, rest = model_bytes(), np.ones(len(model_bytes()), bool)
    for tensor in graph.tensors:
        if tensor.data is not None and tensor.data.nbytes > 64:
            start = data.index(tensor.data.tobytes())
            rest[start:start + tensor.data.nbytes] = False
    return np.flatnonzero(rest)


def flipped(rng, places, count):
    """The model with up to ``count`` bytes at ``places`` flipped or replaced."""
    data = np.frombuffer(model_bytes(), np.uint8).copy()
    where = rng.choice(places, rng.integers(1, count + 1))
    if rng.random() < 0.5:
        data[where] ^= 1 << rng.integers(0, 8, len(where)).astype(np.uint8)
    else:
        data[where] = rng.choice([0, 1, 2, 127, 128, 254, 255, rng.integers(256)], len(where))
    return data.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes(seed, digits):
    rng, places = np.random.default_rng(seed), numbers_of(digits)
    accepted = sum(survives(flipped(rng, places, 4)) for _ in range(1000))
    assert 100 < accepted < 900  # both ends were tried


def test_what_is_accepted_runs_as_on_the_reference(digits, tmp_path):
    """Damage that the reader takes for another network is that network to the reference too."""
    rng, places, x = np.random.default_rng(9), numbers_of(digits), held_out().pictures[:1]
    models, results = [], []
    while len(models) < 150:
        data = flipped(rng, places, 1)
        try:
            graph = read_tflite(data)
        except ModelError:
            continue
        if data != model_bytes() and graph.tensors[graph.inputs[0]].shape == x.shape:
            models.append(np.frombuffer(data, np.uint8))
            results.append(run_graph(graph, x)[graph.outputs[0]])
    np.savez(tmp_path / "models.npz", models=models, x=x, results=results)
    # On its own: the reference ends its process where it meets what it does not expect.
    run = subprocess.run([sys.executable, "-c", CHILD, tmp_path / "models.npz"],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    same, refused = map(int, run.stdout.split())
    assert same + refused == 150 and same > 130


CHILD = """
import sys
import numpy as np
from host.reference import Reference, TflmError

with np.load(sys.argv[1]) as file:
    models, x, results = file["models"], file["x"], file["results"]
same = refused = 0
for number, (model, want) in enumerate(zip(models, results, strict=True)):
    try:
        got, = Reference(model.tobytes()).run(x)
    except TflmError:
        refused += 1
    else:
        np.testing.assert_array_equal(got, want, f"model {number}")
        same += 1
print(same, refused)
"""


@pytest.mark.parametrize("seed", range(2))
def test_moved_pieces(seed):
    """Pieces cut out, doubled, or put elsewhere."""
    rng = np.random.default_rng(seed)
    for _ in range(300):
        data = bytearray(model_bytes())
        start, other = sorted(rng.integers(8, len(data), 2).tolist())
        length = int(rng.integers(1, 65))
        piece = data[start:start + length]
        match rng.integers(3):
            case 0:
                del data[start:start + length]
            case 1:
                data[other:other] = piece
            case 2:
                data[other:other + length] = piece
        survives(bytes(data))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=600))
def test_noise_after_the_identifier(noise):
    survives(model_bytes()[:8] + noise)
    survives(noise[:4] + b"TFL3" + noise[4:])


NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255, 256, 4096, 4097, 1 << 16,
                           (1 << 31) - 1, -1, -2, -128, -129, -(1 << 31)])
REALS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0 ** -8, 1e-45, 1e-38, 1e-20, 1e10, 3.4e38,
                         float("inf"), float("-inf"), float("nan")])


def mutate(draw, value):
    """Another value of the same kind: of a number, an array, a list, or a field of a table."""
    match value:
        case bool():
            return not value
        case int() | np.integer():
            return draw(NUMBERS)
        case float() | np.floating():
            return draw(REALS)
        case np.ndarray() if value.size:
            value = value.copy()
            match draw(st.sampled_from(["number", "shorter", "longer"])):
                case "number":
                    place = draw(st.integers(0, value.size - 1))
                    number = np.float64(mutate(draw, value[place]))
                    value[place] = (number if value.dtype.kind == "f" else
                                    np.array(int(number)).astype(value.dtype))
                case "shorter":
                    value = value[:-1]
                case "longer":
                    value = np.append(value, value[-1:])
            return value
        case list() if value:
            value = list(value)
            place = draw(st.integers(0, len(value) - 1))
            match draw(st.sampled_from(["change"] * 6 + ["remove", "repeat", "swap"])):
                case "change":
                    value[place] = mutate(draw, value[place])
                case "remove":
                    del value[place]
                case "repeat":
                    value.insert(place, value[place])
                case "swap":
                    value[place], value[0] = value[0], value[place]
            return value
        case object(__dict__=fields) if fields:
            value = copy.copy(value)
            name = draw(st.sampled_from(sorted(fields)))
            setattr(value, name, mutate(draw, fields[name]))
            return value
    return value


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_fields(data):
    """Tables that are whole, with fields that are not."""
    altered = Altered()
    for _ in range(data.draw(st.integers(1, 2))):
        owner, name = data.draw(st.sampled_from([
            (altered.model, "subgraphs"), (altered.graph, "tensors"), (altered.graph, "operators"),
            *((tensor, "quantization") for tensor in altered.tensors),
            *((operator, "builtinOptions") for operator in altered.operators)]))
        setattr(owner, name, mutate(data.draw, getattr(owner, name)))
    try:
        packed = altered.bytes()
    except Exception:  # the writer of flatbuffers does not take any number everywhere
        reject()
    survives(packed)
