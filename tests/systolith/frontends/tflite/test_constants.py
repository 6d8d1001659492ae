"""What a file computes from shapes and constants, and what nothing reads."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError, Operator, Tensor
from systolith.references.whole_model import WholeModel
from systolith.zoo.random import Chain, int8


class Net(Chain):
    """A chain with operators as files have them."""

    def __init__(self, seed=1, shape=(1, 4, 6, 3)):
        super().__init__(np.random.default_rng(seed))
        self.tensors = []
        self.last = self.tensor(shape, 0.05)

    def file(self, kind, inputs, shape, dtype="int32", table="NONE", **fields):
        like = self.tensors[0] if dtype == "int8" else Tensor(name="", shape=(), dtype=dtype)
        self.tensors.append(replace(like, name=f"{kind}{len(self.tensors)}", shape=shape))
        self.operators.append(Operator(
            kind=kind, inputs=tuple(inputs), outputs=(len(self.tensors) - 1,),
            index=len(self.operators), attributes=FileOptions(table=table, fields=fields)))
        return len(self.tensors) - 1

    def number(self, *numbers):
        return self.constant(np.array(numbers, np.int32), ())

    def bytes(self, *outputs):
        graph = self.graph()
        return write_tflite(replace(graph, outputs=outputs or graph.outputs))


def flattened(**options):
    """What Keras makes of a Flatten whose batch is left open."""
    net = Net(**options)
    x, (count, *rest) = net.last, net.tensors[net.last].shape
    shape = net.file("SHAPE", [x], (4,), table="ShapeOptions", outType=2)
    batch = net.file("STRIDED_SLICE", [shape, net.number(0), net.number(1), net.number(1)], (),
                     table="StridedSliceOptions", shrinkAxisMask=1)
    size = net.constant(np.array(int(np.prod(rest)), np.int32), ())
    both = net.file("PACK", [batch, size], (2,), table="PackOptions", valuesCount=2)
    net.last = net.file("RESHAPE", [x, both], (count, int(np.prod(rest))), dtype="int8")
    return net


def test_shapes_are_constants():
    data = flattened().bytes()
    graph = read_tflite(data)
    assert [op.kind for op in graph.operators] == ["RESHAPE"]
    x = int8(np.random.default_rng(2), (1, 4, 6, 3))
    want, = WholeModel(data, graph).run(x)
    np.testing.assert_array_equal(run_graph(graph, x)[graph.outputs[0]], want)
    assert want.shape == (1, 72)


def test_arithmetic_of_shapes():
    """Whatever the runtime computes, with its own operators."""
    net = Net()
    x = net.last
    shape = net.file("SHAPE", [x], (4,), table="ShapeOptions", outType=2)
    part = net.file("SLICE", [shape, net.number(1), net.number(2)], (2,), table="SliceOptions")
    total = net.file("REDUCE_PROD", [part, net.number(0)], (), table="ReducerOptions")
    three = net.file("ADD", [total, net.constant(np.array(48, np.int32), ())], (),
                     table="AddOptions")
    whole = net.file("PACK", [net.constant(np.array(1, np.int32), ()), three], (2,),
                     table="PackOptions", valuesCount=2)
    net.last = net.file("RESHAPE", [x, whole], (1, 72), dtype="int8")
    graph = read_tflite(net.bytes())
    assert [op.kind for op in graph.operators] == ["RESHAPE"]
    assert graph.tensors[graph.operators[0].inputs[1]].numbers.tolist() == [1, 72]


def test_a_shape_that_is_an_output_stays():
    net = Net()
    shape = net.file("SHAPE", [net.last], (4,), table="ShapeOptions", outType=2)
    net.relu6()
    graph = read_tflite(net.bytes(shape, net.last), partition=True)
    assert {op.kind for op in graph.operators} == {"RUNTIME", "RELU6"}


def test_what_nothing_reads_is_not_looked_at():
    """Operators that nobody knows, tensors that cannot be."""
    net = Net()
    unread = net.file("FLOOR_DIV", [net.last, net.last], (1, 4, 6, 3), dtype="int8")
    net.file("CUMSUM", [unread, net.number(0)], (0, 3), dtype="float32")
    net.relu6()
    assert [op.kind for op in read_tflite(net.bytes()).operators] == ["RELU6"]
    with pytest.raises(ModelError, match=r"operator 0 \(FLOOR_DIV\): not supported"):
        read_tflite(net.bytes(unread, net.last))


def test_sizes_that_only_the_runtime_knows():
    """A constant that the file has in another size is left to the runtime."""
    net = Net()
    many = net.file("RANGE", [net.constant(np.array(each, np.int32), ()) for each in (0, 5, 1)],
                    (3,), table="RangeOptions")
    net.last = net.file("RESHAPE", [net.last, many], (1, 72), dtype="int8")
    with pytest.raises(ModelError, match=r"operator 0 \(RANGE\): not supported"):
        read_tflite(net.bytes())
