# amaranth: UnusedElaboratable=no
"""Models whose inputs and outputs are not int8: what runs is between QUANTIZE and DEQUANTIZE."""

from dataclasses import replace

import numpy as np
import pytest

from systolith import Session
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.ir import Graph, ModelError, Operator, Tensor, make_operator
from systolith.references.comparison import Comparison
from systolith.references.tflm import Reference

BUILD = small_build(4, 4)
IN, X, W, B, Y, OUT = range(6)
POINT = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0)), "activation": "NONE"}


def model(dtype, **fields):
    """A convolution between ends of ``dtype``, whose tensors have ``fields``."""
    rng = np.random.default_rng(6)
    weights = rng.integers(-127, 128, (5, 1, 1, 3)).astype(np.int8)
    x = Tensor(name="x", shape=(1, 4, 3, 3), scales=(0.0625,), zero_point=-7)
    y = Tensor(name="y", shape=(1, 4, 3, 5), scales=(0.3,), zero_point=4)
    real = {"dtype": "float32", "scales": (), "zero_point": 0}
    of = {"float32": real, "uint8": {"unsigned": True}, "int8": {}}[dtype] | fields
    last = "DEQUANTIZE" if dtype == "float32" else "QUANTIZE"
    return Graph(
        tensors=(replace(x, **{"name": "in", **of}), x,
                 Tensor(name="w", shape=weights.shape, scales=(0.01,), data=weights),
                 Tensor(name="b", shape=(5,), dtype="int32", scales=(0.000625,),
                        data=np.array([0, 9, -900, 77, 5], np.int32)), y,
                 replace(y, **{"name": "out", **of})), inputs=(IN,), outputs=(OUT,),
        operators=(make_operator(kind="QUANTIZE", inputs=(IN,), outputs=(X,)),
                   make_operator(kind="CONV_2D", inputs=(X, W, B), outputs=(Y,), index=1,
                                 attributes=POINT),
                   Operator(kind=last, inputs=(Y,), outputs=(OUT,), index=2,
                            attributes=FileOptions())))


@pytest.mark.parametrize("runtime", ["tflm", "litert"])
@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("dtype, fields", [
    ("float32", {}), ("uint8", {}), ("uint8", {"scales": (0.06,), "zero_point": 30}), ("int8", {})])
@pytest.mark.parametrize("target", ["golden", BUILD])
def test_equals_the_runtime(target, dtype, fields, layers, runtime):
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert")
    data = write_tflite(model(dtype, **fields))
    comparison = Comparison(data, read_tflite(data), runtime, layers)
    session = Session(data, target, keep=layers)
    limits = np.iinfo(session.inputs[0].dtype)
    x = np.random.default_rng(1).integers(limits.min, limits.max + 1, (2, 4, 3, 3), limits.dtype)
    for run in session.results(x):
        comparison.take(run)
    # One off in the sums is 5 in the finer scale that some outputs have.
    assert comparison.compared >= 120 and comparison.largest <= 5 * (runtime == "litert")
    assert not sum(comparison.golden.values()) and not comparison.failed
    if not fields and target == BUILD and not layers:  # neither end is any work
        assert len(session.program.layers) == 1


def test_ends_are_those_of_the_file():
    (x,), (y,) = (getattr(Session(write_tflite(model("uint8")), "golden"), name)
                  for name in ("inputs", "outputs"))
    assert (x.name, x.dtype, x.zero_point, y.dtype, y.zero_point) == ("in", "uint8", 121, "uint8",
                                                                      132)


def test_real_numbers_stand_for_int8():
    session = Session(write_tflite(model("float32")), "golden")
    (x,), tensors = session.inputs, session.graph.tensors
    assert (x.name, x.dtype, x.scale) == ("in", "int8", tensors[X].scale)
    assert [op.kind for op in session.graph.operators] == ["CONV_2D"]
    real = np.random.default_rng(2).uniform(-8, 8, (1, 4, 3, 3)).astype(np.float32)
    real[0, :2] = (np.arange(18).reshape(2, 3, 3) - 8.5) * np.float32(x.scale)  # ties
    interpreter = Reference(write_tflite(model("float32")))._interpreter
    interpreter.set_input(real, 0)
    interpreter.invoke()
    np.testing.assert_array_equal(session.run(real, real=True), interpreter.get_output(0))


def test_uint8_is_written_as_it_was_read():
    data = write_tflite(model("uint8"))
    graph = read_tflite(data)
    assert graph.tensors[IN].unsigned and graph.tensors[IN].dtype == "int8"
    assert write_tflite(graph) == data


def refusal(graph):
    with pytest.raises(ModelError) as raised:
        read_tflite(write_tflite(graph))
    _, *lines = str(raised.value).split("\n  ")
    return lines


def again(graph, number, reads):
    """``graph`` with another operator of the kind of the one of this ``number``, on ``reads``."""
    tensors = *graph.tensors, replace(graph.result(graph.operators[number]), name="more")
    operator = replace(graph.operators[number], inputs=(reads,), outputs=(len(tensors) - 1,),
                       index=3)
    return replace(graph, tensors=tensors, operators=(*graph.operators, operator),
                   outputs=(*graph.outputs, len(tensors) - 1))


def test_refuses_a_real_input_that_is_read_twice():
    first, second = refusal(again(model("float32"), 0, IN))
    for number, line in ((0, first), (3, second)):
        assert line.startswith(f"operator {number} (QUANTIZE): from float32 to int8 it is not "
                               "supported: convert the whole model to int8; only its inputs")


def test_refuses_real_numbers_in_between():
    graph = model("float32")
    graph = again(graph, 0, OUT)
    dequantised, quantised = refusal(replace(graph, outputs=graph.outputs[1:]))
    assert dequantised.startswith("operator 2 (DEQUANTIZE): convert the whole model to int8; only")
    assert quantised.startswith("operator 3 (QUANTIZE): from float32 to int8 it is not supported")


@pytest.mark.parametrize("tensor, operator, role", [
    (X, "0 (QUANTIZE)", "the output (x)"), (Y, "2 (DEQUANTIZE)", "input 0 (y)")])
def test_refuses_what_real_numbers_cannot_stand_for(tensor, operator, role):
    graph = model("float32")
    tensors = list(graph.tensors)
    tensors[tensor] = replace(tensors[tensor], scales=(-1.0,))
    reason = f"operator {operator}: {role} has the scale -1.0, which is not positive and finite"
    assert reason in refusal(replace(graph, tensors=tuple(tensors)))


def test_refuses_operators_on_uint8():
    graph = model("uint8")
    first, convolution, last = graph.operators
    operators = first, replace(convolution, inputs=(IN, W, B)), last
    assert refusal(replace(graph, operators=operators)) == [
        "operator 1 (CONV_2D): input 0 (in) is uint8, not int8: quantise the whole model to int8"]


def turned(first, last):
    """The convolution of :func:`model` between two orders of axes, one of which is that of a file
    whose channels come before lines and pixels."""
    graph, (order, back) = model("float32"), ((0, 2, 3, 1), (0, 3, 1, 2))
    tensors, operators = list(graph.tensors), list(graph.operators)
    if first:
        tensors[IN] = replace(tensors[IN], shape=(1, 3, 4, 3))
        tensors.append(replace(tensors[X], name="turned", shape=(1, 3, 4, 3)))
        tensors.append(Tensor(name="order", shape=(4,), dtype="int32",
                              data=np.array(order, np.int32)))
        operators[:1] = [
            replace(operators[0], outputs=(len(tensors) - 2,)),
            make_operator("TRANSPOSE", (len(tensors) - 2, len(tensors) - 1), (X,),
                          {"order": order}, 3)]
    if last:
        tensors[OUT] = replace(tensors[OUT], shape=(1, 5, 4, 3))
        tensors.append(replace(tensors[Y], name="back", shape=(1, 5, 4, 3)))
        tensors.append(Tensor(name="order", shape=(4,), dtype="int32",
                              data=np.array(back, np.int32)))
        operators[-1:] = [
            make_operator("TRANSPOSE", (Y, len(tensors) - 1), (len(tensors) - 2,),
                          {"order": back}, 4),
            replace(operators[-1], inputs=(len(tensors) - 2,))]
    return write_tflite(replace(graph, tensors=tuple(tensors), operators=tuple(operators)))


@pytest.mark.parametrize("runtime", ["tflm", "litert"])
@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("first, last", [(True, False), (False, True), (True, True)])
def test_channels_that_come_first_in_the_file(first, last, layers, runtime):
    data = turned(first, last)
    graph = read_tflite(data)
    assert [op.kind for op in graph.operators] == ["CONV_2D"]
    assert [graph.tensors[index].layout for index in (*graph.inputs, *graph.outputs)] == [
        ("NHWC", "NCHW")[each] for each in (first, last)]
    comparison, session = Comparison(data, graph, runtime, layers), Session(data, "golden")
    shape = (2, 3, 4, 3) if first else (2, 4, 3, 3)
    x = np.random.default_rng(1).integers(-128, 128, shape, np.int8)
    for run in session.results(x):
        comparison.take(run)
    assert comparison.compared >= 120 and comparison.largest <= (runtime == "litert")
    assert session.run(x).shape == ((2, 5, 4, 3) if last else (2, 4, 3, 5))
