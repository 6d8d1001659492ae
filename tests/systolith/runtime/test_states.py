# amaranth: UnusedElaboratable=no
"""Networks that keep something from one run to the next, against the runtime on the whole file."""

import functools
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.compiler import compile_graph
from systolith.compiler.estimate import check
from systolith.compiler.fitting import small_build
from systolith.frontends.model_file import read_model
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.ir import Graph, ModelError, Operator, State, Tensor
from systolith.graph.verify import GraphError, verify
from systolith.references.comparison import Comparison
from systolith.references.tflm import TflmError
from systolith.references.whole_model import WholeModel
from systolith.runtime.session import Session
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.runtime.states import States
from systolith.runtime.target import RunError

SHAPE = 1, 6, 6, 4
SCALE = {"scales": (float(np.float32(0.05)),), "zero_point": -3}


class Net:
    """A network with variables, of whose operators the file has the options."""

    def __init__(self):
        self.tensors, self.operators, self.begin, self.variable = [], [], {}, []
        self.x = self.new("x")

    def new(self, name, shape=SHAPE, dtype="int8", **fields):
        self.tensors.append(Tensor(name=name, shape=shape, dtype=dtype, **(fields or SCALE)))
        return len(self.tensors) - 1

    def constant(self, data, scales=SCALE["scales"]):
        return self.new("constant", data.shape, data.dtype.name, scales=scales, data=data)

    def raw(self, kind, inputs, outputs, table="NONE", **fields):
        self.operators.append(Operator(
            kind=kind, inputs=tuple(inputs), outputs=tuple(outputs), index=len(self.operators),
            attributes=FileOptions(table=table, fields=fields)))

    def var(self, name, begin=None):
        """The handle of a variable, which may begin with numbers."""
        handle = self.new(name, (1,), "resource", zero_point=0)
        self.raw("VAR_HANDLE", (), (handle,), "VarHandleOptions", container="", sharedName=name)
        if begin is not None:
            self.begin[name] = begin
        return handle

    def read(self, handle):
        result = self.new("read")
        self.raw("READ_VARIABLE", (handle,), (result,), "ReadVariableOptions")
        return result

    def assign(self, handle, value):
        self.raw("ASSIGN_VARIABLE", (handle, value), (), "AssignVariableOptions")

    def add(self, a, b):
        result = self.new("sum")
        self.raw("ADD", (a, b), (result,), "AddOptions")
        return result

    def normalised(self, x):
        """By the runtime."""
        result = self.new("normalised", scales=(1 / 128,), zero_point=0)
        self.raw("L2_NORMALIZATION", (x,), (result,), "L2NormOptions")
        return result

    def file(self, *outputs, alter=lambda model: None):
        if self.begin:
            self.raw("CALL_ONCE", (), (), "CallOnceOptions", initSubgraphIndex=1)
            self.operators = [self.operators[-1], *self.operators[:-1]]
        model = model_of(Graph(tensors=tuple(self.tensors), operators=tuple(self.operators),
                               inputs=(self.x,), outputs=outputs))
        for index in self.variable:
            model.subgraphs[0].tensors[index].isVariable = True
        if self.begin:
            append_beginning(model, self.begin)
        alter(model)
        return packed(model)


def model_of(graph):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(write_tflite(graph), 0))


def packed(model):
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def append_beginning(model, begin):
    """A subgraph that assigns constants, with buffers and operator codes of its own."""
    net = Net()
    for name, numbers in begin.items():
        net.assign(net.var(name), net.constant(numbers))
    other = model_of(Graph(tensors=tuple(net.tensors), operators=tuple(net.operators),
                           inputs=(net.x,), outputs=(net.x,)))
    sub, = other.subgraphs
    sub.inputs = sub.outputs = np.zeros(0, np.int32)
    for tensor in sub.tensors:
        tensor.buffer += len(model.buffers)
    for operator in sub.operators:
        operator.opcodeIndex += len(model.operatorCodes)
    model.buffers += other.buffers
    model.operatorCodes += other.operatorCodes
    model.subgraphs.append(sub)


def numbers(seed, count=1):
    return np.random.default_rng(seed).integers(-128, 128, (count, *SHAPE[1:])).astype(np.int8)


def sums(begin=None):
    """Each input is added to what there was; the sum is what there is."""
    net = Net()
    handle = net.var("sum", begin)
    total = net.add(net.x, net.read(handle))
    net.assign(handle, total)
    return net.file(total)


def begins():
    return sums(numbers(2))


def delays():
    """Two inputs back: a variable is another one, which is the input."""
    net = Net()
    first, second = net.var("first", numbers(4)), net.var("second", numbers(5))
    one, two = net.read(first), net.read(second)
    net.assign(second, one)
    net.assign(first, net.x)
    return net.file(net.add(two, one))


def read_again():
    """After it is assigned, a variable is what was assigned."""
    net = Net()
    handle = net.var("sum", numbers(7))
    net.assign(handle, net.add(net.x, net.read(handle)))
    again = net.read(handle)
    net.assign(handle, net.add(again, again))
    return net.file(net.add(net.read(handle), net.x))


def on_the_host():
    """The runtime reads a variable, and gives another."""
    net = Net()
    a, b = net.var("a", numbers(9)), net.var("b")
    before = net.read(a)
    y = net.add(net.normalised(net.add(net.x, net.read(b))), net.normalised(before))
    net.assign(b, net.normalised(y))
    net.assign(a, net.add(y, net.x))
    return net.file(y, before)


def filters():
    """An operator with a variable tensor, which the runtime changes."""
    net = Net()
    units, rank, taps, inputs = 3, 2, 4, 144
    flat = net.new("flat", (1, inputs))
    net.raw("RESHAPE", (net.x,), (flat,), "ReshapeOptions", newShape=[1, inputs])
    rng = np.random.default_rng(11)
    features = net.constant(rng.integers(-128, 128, (units * rank, inputs)).astype(np.int8),
                            (0.004,))
    time = net.constant(rng.integers(-9999, 9999, (units * rank, taps)).astype(np.int16), (1e-4,))
    bias = net.constant(rng.integers(-99, 99, units).astype(np.int32), (1e-5,))
    state = net.new("kept", (1, units * rank * taps), "int16", scales=(1e-4,), zero_point=0)
    net.variable.append(state)
    y = net.new("y", (1, units), scales=(0.02,), zero_point=5)
    net.raw("SVDF", (flat, features, time, bias, state), (y,), "SVDFOptions", rank=rank)
    return net.file(y)


NETS = {"sums": sums, "begins": begins, "delays": delays, "read again": read_again,
        "on the host": on_the_host, "filters": filters}


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(4, 4, activation_bytes=1 << 14))


@pytest.mark.parametrize("target", ["golden", "rtl"])
@pytest.mark.parametrize("name", NETS)
def test_as_the_whole_model(name, target):
    model = NETS[name]()
    graph = read_model(model, partition=True)
    session = Session(graph, "golden" if target == "golden" else accelerator())
    whole, x, seen = WholeModel(model, graph), numbers(20, 6) // 4, set()
    for number, run in enumerate(session.results(x)):
        for index, want in zip(graph.own_outputs, whole.run(x[number:number + 1]), strict=True):
            np.testing.assert_array_equal(run.values[index], want)
            seen.add(want.tobytes())
    assert len(seen) >= 6
    session.reset()
    whole = WholeModel(model, graph)
    np.testing.assert_array_equal(session.gather([*session.results(x[:2])])[0],
                                  np.concatenate([whole.run(x[:1])[0], whole.run(x[1:2])[0]]))


def test_states_are_kept_as_the_file_has_them():
    """The result may be unsigned where the operand is not, and of other axes."""
    begin = np.arange(6, dtype=np.uint8).reshape(1, 2, 1, 3)
    given = Tensor(name="given", shape=(1, 1, 3, 2), unsigned=True, layout="NCHW", **SCALE)
    result = Tensor(name="result", shape=(1, 6), dtype="uint8", **SCALE)
    states = States(Graph(tensors=(given, result), operators=(), inputs=(0,), outputs=(1,),
                          states=(State(name="kept", initial=begin),)))
    np.testing.assert_array_equal(states.given()[0],
                                  [[[[-128, -125], [-127, -124], [-126, -123]]]])
    states.advance({1: np.arange(128, 134, dtype=np.uint8)[None]})
    np.testing.assert_array_equal(states.given()[0], [[[[0, 3], [1, 4], [2, 5]]]])
    states.reset()
    assert states.given()[0][0, 0, 0, 0] == -128


@pytest.mark.parametrize("states, text", [
    ((State(name="s", initial=np.zeros(3, np.int8)),), "the state s begins with 3 numbers"),
    ((State(name="s", initial=np.zeros(SHAPE, np.int8)),) * 2, "it has 2 states, more than"),
    (("s",), "the states cannot be")], ids=["size", "count", "type"])
def test_states_that_mean_nothing(states, text):
    graph = read_model(sums())
    with pytest.raises(GraphError, match=text):
        verify(replace(graph, outputs=graph.outputs[1:], states=states))


def test_a_state_goes_on_from_call_to_call():
    x = numbers(21, 4) // 4
    at_once = Session(begins(), "golden").run(x)
    session, other = (Session(begins(), accelerator()) for _ in range(2))
    for number in range(4):  # in turn: each has its own
        for each in session, other:
            np.testing.assert_array_equal(each.run(x[number:number + 1]),
                                          at_once[number:number + 1])


class Failing:
    """An accelerator that fails in its run ``number``."""

    compact = False

    def __init__(self, number):
        self.inner, self.left = accelerator(), number
        self.params = self.inner.params

    @property
    def program(self):
        return self.inner.program

    def load(self, program):
        self.inner.load(program)

    def run(self, *inputs):
        self.left -= 1
        run = self.inner.run(*inputs)  # its answer is lost
        if not self.left:
            raise RunError("lost")
        return run


def test_a_run_that_fails_changes_nothing():
    x = numbers(22, 3) // 4
    want = Session(begins(), "golden").run(x)
    session = Session(begins(), Failing(2))
    with pytest.raises(RunError, match=r"^run 2 of 3: lost; the states are those before it$"):
        session.run(x)
    np.testing.assert_array_equal(session.run(x), want)
    session, got = Session(begins(), Failing(2)), []
    with pytest.raises(RunError, match="^run 2 of 3"):
        for run in session.results(x):
            got.append(run)
    np.testing.assert_array_equal(session.gather([*got, *session.results(x[1:])])[0], want)


def test_where_nothing_keeps_states():
    graph, build = read_model(sums()), small_build(4, 4)
    for options, text in ({"batch": 2}, "let the batch be 1"), (
            {"double_buffered": True}, "runs cannot overlap"), ({"partition": False}, ": sum$"):
        with pytest.raises(ValueError, match=text):
            compile_graph(graph, build, **{"partition": True, **options})
    with pytest.raises(ValueError, match="let the batch be 1"):
        Session(graph, "golden", batch=2)


def test_check_tells_states():
    found = check(read_model(delays()), small_build(4, 4))
    assert found.as_dict()["states"] == {"first": 144, "second": 144}
    assert "each is given the states" in found.alone and found.segments == 1


def test_the_comparison_goes_on_with_the_states():
    model = begins()
    graph = read_model(model)
    comparison, session = Comparison(model, graph, None, True), Session(graph, "golden")
    for run in session.results(numbers(23, 3) // 4):
        comparison.take(run)
    assert comparison.differing == 0 and not comparison.failed
    session.reset()  # which the runtime does not know
    for run in session.results(numbers(24, 1)):
        comparison.take(run)
    assert comparison.failed


def test_a_runtime_that_has_ended_does_not_begin_again():
    graph = read_model(begins())
    whole = WholeModel(begins(), graph)
    whole.run(numbers(25))
    whole._stream._worker.close()
    with pytest.raises(TflmError, match="what it kept is lost"):
        whole.run(numbers(25))


def of_no_handle(net, handle):
    net.read(net.x)


def assigns_a_constant(net, handle):
    net.assign(handle, net.constant(numbers(1)))


def never_assigned(net, handle):
    net.read(net.var("other"))


REFUSED = {
    "no handle": (of_no_handle, r"operator 4 \(READ_VARIABLE\): its operand 0 is not the result"),
    "constant": (assigns_a_constant, r"operator 4 \(ASSIGN_VARIABLE\): it assigns a constant"),
    "never assigned": (never_assigned, "nothing assigns the variable other"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_state_can_be(name):
    alter, text = REFUSED[name]
    net = Net()
    handle = net.var("sum")
    total = net.add(net.x, net.read(handle))
    net.assign(handle, total)
    alter(net, handle)
    with pytest.raises(ModelError, match=text):
        read_model(net.file(total), partition=True)


def changed_subgraph(model):
    model.subgraphs[1].operators.pop(0)


def another_variable(model):
    tensor = model.subgraphs[1].tensors[2]
    tensor.shape, model.buffers[tensor.buffer].data = np.array([2], np.int32), np.zeros(2, np.uint8)


def no_subgraph(model):
    model.subgraphs.pop()


def late(model):
    operators = model.subgraphs[0].operators
    operators.append(operators.pop(0))


def other_options(model):
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = schema.Conv2DOptionsT()


BEGINNINGS = {"options": (other_options, "its options are not CallOnceOptions"),
              "no handle": (changed_subgraph, "does more than to assign constants"),
              "size": (another_variable, r"is read as int8\[1, 6, 6, 4\], but int8\[2\] is"),
              "no subgraph": (no_subgraph, "it names subgraph 1, but there are 1"),
              "late": (late, "it begins variables that are read or assigned before it")}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_beginnings_that_are_none(name):
    alter, text = BEGINNINGS[name]
    net = Net()
    handle = net.var("sum", numbers(2))
    total = net.add(net.x, net.read(handle))
    net.assign(handle, total)
    with pytest.raises(ModelError, match=text):
        read_model(net.file(total, alter=alter), partition=True)


def test_operators_that_wait_for_each_other():
    net = Net()
    one, other = net.new("one"), net.new("other")
    net.raw("L2_NORMALIZATION", (other,), (one,), "L2NormOptions")
    net.raw("ADD", (one, net.x), (other,), "AddOptions")
    with pytest.raises(ModelError, match=r"operator 0 \(L2_NORMALIZATION\) reads what only it, or"):
        read_model(net.file(other), partition=True)


def test_a_variable_of_two_operators():
    net = Net()
    net.variable.append(kept := net.new("kept"))
    y = net.add(net.normalised(kept), kept)
    with pytest.raises(ModelError, match=r"operator 0 \(L2_NORMALIZATION\): its operand kept is "
                                         "a variable tensor, which is supported only where"):
        read_model(net.file(y), partition=True)
