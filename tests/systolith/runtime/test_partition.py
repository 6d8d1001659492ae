# amaranth: UnusedElaboratable=no
"""Networks of which the runtime itself runs a part, on the host, against the whole network."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from systolith.compiler import compile_graph
from systolith.compiler.estimate import check
from systolith.compiler.fitting import small_build
from systolith.frontends.model_file import read_model
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.ir import ModelError, Operator, Tensor
from systolith.references.comparison import Comparison
from systolith.references.host_runtime import HostRuntimeError, host_runtime_of, run_on_host
from systolith.references.whole_model import WholeModel
from systolith.runtime.session import Session
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import Chain


class Net(Chain):
    """A chain with operators that no record has: L2_NORMALIZATION and ARG_MAX."""

    def __init__(self, seed, shape=(1, 6, 6, 4)):
        super().__init__(np.random.default_rng(seed))
        self.tensors = []
        self.last = self.tensor(shape, 0.05)

    def foreign(self, kind, inputs, shape, dtype="int8", table="NONE", fields=None, scale=0.05):
        """The result of an operator of the file."""
        numbers = {"scales": (scale,)} if dtype == "int8" else {}
        self.tensors.append(Tensor(name=f"{kind}{len(self.tensors)}", shape=shape, dtype=dtype,
                                   **numbers))
        self.operators.append(Operator(
            kind=kind, inputs=tuple(inputs), outputs=(len(self.tensors) - 1,),
            index=len(self.operators), attributes=FileOptions(table=table, fields=fields or {})))
        return len(self.tensors) - 1

    def normalise(self):
        """Channels of a length of one."""
        self.last = self.foreign("L2_NORMALIZATION", (self.last,), self.tensors[self.last].shape,
                                 table="L2NormOptions", scale=1 / 128)

    def best(self):
        """The number of the largest channel: int32."""
        axis = self.constant(np.array(3, np.int32), ())
        self.last = self.foreign("ARG_MAX", (self.last, axis), self.tensors[self.last].shape[:-1],
                                 dtype="int32", table="ArgMaxOptions", fields={"outputType": 2})

    def file(self, outputs=None):
        graph = self.graph()
        return write_tflite(replace(graph, outputs=outputs or graph.outputs))


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(4, 4, activation_bytes=1 << 14))


def inside(seed=1):
    """On the accelerator, on the host, and again."""
    net = Net(seed)
    net.conv()
    net.normalise()
    net.conv()
    return net.file()


def read_twice(seed=2):
    """A tensor that both sides read; an output of the host, and one of the accelerator."""
    net = Net(seed)
    net.conv()
    both = net.last
    net.normalise()
    first = net.last
    net.last = both
    net.relu6()
    return net.file((first, net.last))


def ends_with_integers(seed=3):
    """A result of another type, and one that is an operand of it."""
    net = Net(seed)
    net.conv()
    scores = net.last
    net.best()
    return net.file((net.last, scores))


def only_host(seed=4):
    net = Net(seed)
    net.normalise()
    net.normalise()
    return net.file()


def input_is_output(seed=5):
    net = Net(seed)
    x = net.last
    net.normalise()
    return net.file((x, net.last))


NETS = {"inside": (inside, 2), "read twice": (read_twice, 1), "integers": (ends_with_integers, 1),
        "only host": (only_host, 0), "input is output": (input_is_output, 0)}


@pytest.mark.parametrize("target", ["golden", "rtl"])
@pytest.mark.parametrize("name", NETS)
def test_as_the_whole_model(name, target):
    make, segments = NETS[name]
    model = make()
    graph = read_model(model, partition=True)
    session = Session(graph, "golden" if target == "golden" else accelerator())
    if target == "rtl":
        assert len(session.program.segments) == segments
        assert {op.kind for op in session.program.rest} == {"RUNTIME"}
    whole, rng = WholeModel(model, graph), np.random.default_rng(7)
    x = rng.integers(-128, 128, (3, 6, 6, 4)).astype(np.int8)
    runs = [*session.results(x)]
    for number, run in enumerate(runs):
        for index, want in zip(graph.outputs, whole.run(x[number:number + 1]), strict=True):
            np.testing.assert_array_equal(run.values[index], want)
            assert run.values[index].dtype == want.dtype
    for index, want in zip(graph.outputs, whole.run(x), strict=True):
        np.testing.assert_array_equal(np.concatenate([run.values[index] for run in runs]), want)


def test_several_images_at_a_time():
    model = inside()
    graph = read_model(model, partition=True)
    session = Session(graph, accelerator(), batch=3)
    x = np.random.default_rng(8).integers(-128, 128, (3, 6, 6, 4)).astype(np.int8)
    run, = session.results(x)
    want, = WholeModel(model, graph).run(x)
    np.testing.assert_array_equal(run.values[graph.outputs[0]], want)
    assert "with work of the host between them" in session.alone


def test_neighbours_are_one_model():
    """As few runs of the runtime as the order allows."""
    graph = read_model(only_host(), partition=True)
    operator, = graph.operators
    assert operator.attributes.names == ("L2_NORMALIZATION", "L2_NORMALIZATION")
    assert operator.attributes.numbers == (0, 1)
    assert operator.attributes.reason == "not supported"


def test_where_there_is_no_runtime():
    with pytest.raises(ModelError, match=r"operator 1 \(L2_NORMALIZATION\): not supported"):
        read_model(inside())
    with pytest.raises(ValueError, match=r"there is none where it goes: operators 1 "
                                         r"\(L2_NORMALIZATION\)$"):
        compile_graph(read_model(inside(), partition=True), small_build(4, 4))


def test_what_a_build_cannot_run_is_left_to_the_host():
    """By its golden model, where the program may be partitioned."""
    chain = Chain(np.random.default_rng(3))
    chain.tensors = []
    chain.last = chain.tensor((1, 8, 8, 3), 0.05)
    chain.conv()
    chain.pool("MAX_POOL_2D", kernel=(2, 2))
    graph, build = chain.graph(), small_build(4, 4, pooling=False)
    with pytest.raises(ValueError, match=r"the network needs what this build does not have: POOL"):
        compile_graph(graph, build)
    program = compile_graph(graph, build, partition=True)
    assert [op.kind for op in program.rest] == ["MAX_POOL_2D"]
    assert [*program.host.values()] == [
        "it needs the unit for pooling, which this build does not have"]


def test_check_tells_parts_and_reasons():
    found = check(read_model(inside(), partition=True), small_build(4, 4))
    assert (found.segments, found.mac_share) == (2, 1.0) and not found.short
    step, = found.as_dict()["host"]
    assert step["names"] == ("L2_NORMALIZATION",) and step["numbers"] == (1,)
    assert step["reason"] == "not supported"


def test_comparison_is_with_the_whole_model():
    model = inside()
    graph = read_model(model, partition=True)
    comparison, session = Comparison(model, graph, None, True), Session(graph, "golden")
    assert not comparison.layers
    run, = session.results(np.ones((1, 6, 6, 4), np.int8))
    comparison.take(run)
    assert comparison.differing == 0 and comparison.compared > 10
    run.values[graph.outputs[0]][...] ^= 1
    comparison.take(run)
    assert comparison.failed
    assert [text for text, _ in comparison.verdicts()][0].endswith(
        "differ from TensorFlow Lite Micro")
    with pytest.raises(ValueError, match="leave --compare out"):
        Comparison(model, graph, "litert", False)


def test_a_model_that_no_runtime_runs():
    with pytest.raises(HostRuntimeError, match=r"^no runtime runs what is left to the host: "):
        run_on_host(b"\x1c\0\0\0TFL3" + bytes(64), "tflite", [])


def test_the_runtime_is_known_once_it_has_run():
    graph = read_model(ends_with_integers(), partition=True)
    model = graph.operators[-1].attributes.model
    run, = Session(graph, "golden").results(np.ones((1, 6, 6, 4), np.int8))
    assert host_runtime_of(model) == "TensorFlow Lite Micro"
