# amaranth: UnusedElaboratable=no
"""Records of operators: all that there are, none, and one of somebody else's."""

import subprocess
import sys
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith import Session
from systolith.compiler import compile_graph
from systolith.compiler.codegen.program import UNITS
from systolith.compiler.estimate import check
from systolith.compiler.fitting import small_build
from systolith.compiler.partition import partition
from systolith.compiler.passes import PASSES, optimise
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph, run_operator
from systolith.graph.ir import ModelError, Operator, Tensor
from systolith.graph.record import (
    Channels,
    OperatorRecord,
    RecordError,
    Role,
    UnknownOperator,
    records,
    register,
)
from systolith.graph.verify import GraphError
from systolith.operators.convolution import OPERANDS
from systolith.zoo.random import MAKERS, MOVEMENTS, Chain, int8
from tests.support.reverse_channels import RECORD

#: Records of other packages, tests' own among them.
OURS = {kind: record for kind, record in records().items()
        if record is not RECORD and record.run is None}  # nor what a runtime runs

#: What importers and passes make of others.
MADE = {"LOOKUP", "MOVE"}


def test_every_kind_is_tried_at_random():
    """A kind without a maker of random operators would be believed without a test."""
    made = {maker(np.random.default_rng(0)).operators[0].kind
            for maker in (MAKERS | MOVEMENTS).values()}
    assert set(OURS) - made == MADE | {"LOCAL_RESPONSE_NORMALIZATION", "RELU_N1_TO_1"}


@pytest.mark.parametrize("kind", OURS)
def test_records_are_complete(kind):
    record = OURS[kind]
    assert record.kind == kind and record.golden.keys() <= {"tflm", "float32"} and record.golden
    assert record.tflite or record.onnx or record.qlinear or kind in MADE
    assert record.writer or "tflm" not in record.golden or kind in MADE
    assert Role.ACTIVATION in record.operands
    assert not record.weighted or record.position(Role.BIAS) is not None
    assert record.lower or not record.units
    assert record.units <= set(UNITS.values())
    assert not record.clamps or hasattr(record.attributes(**{
        name: ((0, 0), (0, 0)) for name in record.attributes.__dataclass_fields__}), "range")


def test_a_kind_has_one_record():
    mine = OperatorRecord(kind="MINE", shape=OURS["ADD"].shape)
    with pytest.raises(RecordError, match="^there is a record of operators of kind ADD already$"):
        register(mine, replace(mine, kind="ADD"))
    with pytest.raises(RecordError, match="of kind MINE already$"):
        register(mine, replace(mine, optional=1))
    assert "MINE" not in records()  # all or none
    register(OURS["ADD"])  # the same one does no harm


@pytest.mark.parametrize("fields, message", [
    ({"kind": ""}, "its kind must be a name"),
    ({"operands": ()}, r"operands must be a tuple of Role, not \(\)"),
    ({"operands": [Role.ACTIVATION]}, "operands must be a tuple of Role, not"),
    ({"attributes": dict}, "attributes must be a type of Attributes, not <class 'dict'>"),
    ({"shape": None}, "shape must be callable, not None"),
    ({"lower": "add"}, "lower must be callable or None, not 'add'"),
    ({"golden": {"tflm": None}}, "golden must have a callable for each name, not None for 'tflm'"),
    ({"golden": {"nearest": print}},
     "golden has the rounding 'nearest'; there are tflm and float32"),
    ({"locality": "line"}, "locality must be a Locality, not 'line'"),
    ({"onnx": {"Mine": print}, "qlinear": {"Mine": print}}, "both onnx and qlinear read Mine"),
    ({"variadic": (2, 1)}, "variadic must be two counts"),
    ({"variadic": (1, 2), "optional": 1}, "variadic must be two counts, and nothing optional"),
    ({"optional": 2}, "optional must be a number of operands, not 2"),
    ({"clamps": True}, "what clamps has the attributes Clamp, not Attributes"),
    ({"units": frozenset({"addition"})}, r"it names units, but has no layers \(lower\)"),
    ({"planned": True, "lower": print}, "what is planned has weights and layers"),
    ({"takes_sum": True}, "only what is planned can take a sum"),
    ({"sums": True}, "a sum is one of two activations"),
    ({"moves": print, "variadic": (1, 2)}, "what moves numbers has one activation"),
    ({"channels": "all"}, "channels must be a Channels or callable, not 'all'"),
    ({"channels": Channels.WEIGHTED}, "Channels.WEIGHTED needs weights, and a place for biases"),
    ({"channels": Channels.DEPTHWISE, "operands": (*OPERANDS, Role.ACTIVATION)},
     "Channels.DEPTHWISE is of a single activation"),
    ({"channels": Channels.FLATTENED, "operands": (Role.CONSTANT,)},
     "Channels.FLATTENED is of a single activation"),
])
def test_a_record_that_contradicts_itself(fields, message):
    with pytest.raises(RecordError, match=f"^the record of '.*' is not valid: {message}"):
        OperatorRecord(**{"kind": "MINE", "shape": print, **fields})


@pytest.mark.parametrize("given, message", [
    (Channels.DEPTHWISE, "Channels.DEPTHWISE needs weights, and a place for biases"),
    (None, "channels must give a Channels, not None")], ids=["depthwise", "none"])
def test_channels_that_contradict_a_record(given, message):
    record = OperatorRecord(kind="MINE", shape=print, channels=lambda graph, operator: given)
    with pytest.raises(RecordError, match=message):
        record.channels_of(None, None)


@pytest.mark.parametrize("group, name, message", [
    ("tflite", "ADD", "the records of ADD and MINE both read .tflite operators of the name ADD"),
    ("onnx", "QLinearAdd",
     "the records of ADD and MINE both read .onnx operators of the name QLinearAdd"),
    ("qlinear", "Add", "the records of ADD and MINE both read .onnx operators of the name Add"),
])
def test_an_operator_of_a_file_has_one_record(group, name, message):
    with pytest.raises(RecordError, match=f"^{message}$"):
        register(OperatorRecord(kind="MINE", shape=OURS["ADD"].shape, **{group: {name: print}}))
    assert "MINE" not in records()


def test_the_first_to_register_finds_ours():
    """Whoever registers before anything else was asked for is refused then, not whoever reads a
    file later."""
    code = """
from systolith.graph.record import OperatorRecord, RecordError, records, register
try:
    register(OperatorRecord(kind="SOFTMAX", shape=print))
except RecordError as error:
    print(error, len(records()) > 20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "there is a record of operators of kind SOFTMAX already True\n"


def renamed():
    """A network whose sum is of a kind that nobody knows."""
    grown = Chain(np.random.default_rng(3))
    grown.conv()
    first = grown.last
    grown.conv()
    shape = grown.tensors[first].shape
    grown.append("ADD", [first, first], shape, grown.x.scale * 2, activation="NONE")
    graph = grown.graph()
    return replace(graph, operators=tuple(
        replace(op, kind="PLUS") if op.kind == "ADD" else op for op in graph.operators))


UNKNOWN = r"there is no record of operators of kind PLUS: register one"


@pytest.mark.parametrize("change", PASSES)
def test_no_pass_guesses(change):
    """Each refuses the kind, or leaves the operator and its operands as they were."""
    graph = renamed()
    try:
        after = change(graph)
    except UnknownOperator as error:
        assert UNKNOWN in str(error)
    else:
        assert after.operators[-1] == graph.operators[-1]
        assert all(after.tensors[index] == graph.tensors[index]
                   for index in graph.operators[-1].inputs)


@pytest.mark.parametrize("use", [
    optimise, lambda graph: compile_graph(graph, small_build(4, 4)),
    lambda graph: check(graph, small_build(4, 4)), lambda graph: Session(graph, small_build(4, 4)),
], ids=["optimise", "compile", "check", "session"])
def test_an_unknown_kind_is_an_error(use):
    with pytest.raises(GraphError, match=UNKNOWN):
        use(renamed())


def test_the_interpreter_knows_no_unknown_kind():
    graph = renamed()
    with pytest.raises(UnknownOperator, match=UNKNOWN):
        run_graph(graph, int8(np.random.default_rng(0), graph.tensors[graph.inputs[0]].shape))
    tanh = replace(graph, rounding="float32")
    with pytest.raises(UnknownOperator, match=r"^operator 0 \(TANH\) has no golden model of the "
                                              "rounding float32$"):
        run_operator(tanh, Operator(kind="TANH", inputs=(0,), outputs=(1,)), {})


def with_reversed_channels():
    """A convolution, the operator of :mod:`tests.support.reverse_channels`, another one."""
    grown = Chain(np.random.default_rng(8))
    grown.conv()
    x = grown.x
    grown.tensors.append(replace(x, name="reversed"))
    grown.operators.append(Operator(kind=RECORD.kind, inputs=(grown.last,),
                                    outputs=(len(grown.tensors) - 1,),
                                    index=len(grown.operators)))
    grown.last = len(grown.tensors) - 1
    grown.conv()
    return grown.graph()


def test_an_operator_of_somebody_else_runs():
    """It is registered by a file that is no part of the project, and runs where that says."""
    graph, build = with_reversed_channels(), small_build(4, 4)
    x = int8(np.random.default_rng(9), (2, *graph.tensors[graph.inputs[0]].shape[1:]))
    session = Session(graph, build)
    want = run_graph(graph, x)
    np.testing.assert_array_equal(session.run(x), want[graph.outputs[0]])
    middle = graph.operators[1]
    np.testing.assert_array_equal(want[middle.outputs[0]], want[middle.inputs[0]][..., ::-1])
    assert [op.kind for op in session.program.rest] == [RECORD.kind]
    assert [each.where for each in check(graph, build).operators] == [
        "accelerator", "host", "accelerator"]


def test_a_unit_that_a_record_does_not_name(monkeypatch):
    graph = MAKERS["logistic"](np.random.default_rng(1))
    monkeypatch.setitem(records(), "LOGISTIC", replace(OURS["LOGISTIC"], units=frozenset()))
    with pytest.raises(UnknownOperator, match=r"^operator 0 \(LOGISTIC\) has layers that need "
                                              "(addition|pooling), which its record does not say$"):
        compile_graph(graph, small_build(4, 4))


def test_an_operator_of_somebody_else_is_read():
    graph = with_reversed_channels()
    middle = graph.operators[1]
    # The file has it as a custom operator: a POOL of the same operands lends it its place.
    stand_in = replace(middle, kind="RELU", attributes=records()["RELU"].attributes())
    data = write_tflite(replace(graph, operators=(graph.operators[0], stand_in,
                                                  *graph.operators[2:])))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.RELU:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
            code.customCode = b"ReverseChannels"
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), b"TFL3")
    read = read_tflite(bytes(builder.Output()))
    assert [op.kind for op in read.operators][1] == RECORD.kind
    for code in model.operatorCodes:
        if code.customCode:
            code.customCode = b"TurnChannels"
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(ModelError, match="CUSTOM TurnChannels"):
        read_tflite(bytes(builder.Output()))


def test_constants_may_be_activations():
    """An operand that a pass found to be a constant is what the golden model takes."""
    x = Tensor(name="x", shape=(1, 4), scales=(0.1,))
    constant = replace(x, name="c", data=np.arange(4, dtype=np.int8)[None])
    graph = replace(renamed(), tensors=(x, constant, replace(x, name="y")), inputs=(0,),
                    outputs=(2,), operators=(Operator(
                        kind="ADD", inputs=(0, 1), outputs=(2,),
                        attributes=records()["ADD"].attributes()),))
    given = np.ones((3, 4), np.int8)
    np.testing.assert_array_equal(run_graph(graph, given)[2], given + np.arange(4))


@pytest.mark.parametrize("kind", ["ADD", "CONCATENATION"])
def test_the_host_computes_with_constants(kind):
    grown = Chain(np.random.default_rng(1))
    grown.conv()
    first = grown.last
    shape, scale, zero_point = grown.x.shape, grown.x.scale, grown.x.zero_point
    constant = grown.tensor(shape, scale, zero_point)
    grown.tensors[constant] = replace(grown.x, data=int8(grown.rng, shape))
    width = shape[3] * (1 + (kind == "CONCATENATION"))
    grown.append(kind, [first, constant], (*shape[:3], width), scale, zero_point)
    grown.conv()
    graph, build = grown.graph(), small_build(4, 4)
    x = int8(np.random.default_rng(9), (2, *graph.tensors[graph.inputs[0]].shape[1:]))
    np.testing.assert_array_equal(Session(graph, build).run(x), run_graph(graph, x)[grown.last])
    assert partition(graph).host == {1: f"its operand {graph.tensors[constant].name} is a constant"}
