"""Golden models of what moves numbers, against the runtimes: random operators, and those of files
that a graph has under another name."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.movement import fill_of, origins
from systolith.references.litert import Litert
from systolith.references.tflm import run_tflm
from systolith.zoo.random import MOVEMENTS, int8, tensor


def check(data, rng, litert):
    """Compare all outputs of a file with its runtime; with several images too, if its operators are
    to treat them alike."""
    graph = read_tflite(data)
    inputs = [int8(rng, graph.tensors[index].shape) for index in graph.inputs]
    want = Litert(data).run(*inputs) if litert else run_tflm(data, *inputs)
    got = run_graph(graph, *inputs)
    twice = run_graph(graph, *(np.concatenate([x, x[::-1]]) for x in inputs))
    for index, expected in zip(graph.outputs, want, strict=True):
        assert got[index].shape == expected.shape
        np.testing.assert_array_equal(got[index], expected, f"{graph.operators}")
        np.testing.assert_array_equal(twice[index][:len(expected)], expected)
    return graph


@pytest.mark.parametrize("kind", MOVEMENTS)
def test_equals_reference(kind):
    """TensorFlow Lite Micro pads in a SPACE_TO_BATCH_ND with whatever lies on its stack."""
    for seed in range(40):
        rng = np.random.default_rng([seed, *kind.encode()])
        check(write_tflite(MOVEMENTS[kind](rng)), rng, kind == "space to batch")


def table(*numbers):
    return np.array(numbers, np.int32)


#: Operands of a file's operator (the shape of the activation, or a constant), the shapes of its
#: results, and its options.
FILES = {
    "SLICE": [[(1, 5, 4, 3), table(0, 1, 2, 0), table(1, 3, -1, 2)], [(1, 3, 2, 2)], {}],
    "SPLIT": [[np.array(2, np.int32), (1, 3, 6, 2)], [(1, 3, 2, 2)] * 3, {"numSplits": 3}],
    "SPLIT_V": [[(1, 7, 4), table(2, -1, 1), np.array(-2, np.int32)],
                [(1, 2, 4), (1, 4, 4), (1, 1, 4)], {"numSplits": 3}],
    "UNPACK": [[(1, 3, 2, 5)], [(1, 2, 5)] * 3, {"num": 3, "axis": 1}],
    "REVERSE_V2": [[(1, 3, 4, 2), table(2)], [(1, 3, 4, 2)], {}],
    "TILE": [[(1, 2, 3), table(1, 3, 2)], [(1, 6, 6)], {}],
    "PADV2": [[(1, 3, 2, 2), np.array([[0, 0], [1, 2], [0, 1], [3, 0]], np.int32), np.int8(-77)],
              [(1, 6, 3, 5)], {}],
    "STRIDED_SLICE": [[(1, 5, 4, 3), table(0, -2, 9, 2), table(0, -9, 0, 3), table(1, -1, -3, 1)],
                      [(1, 4, 2)], {"beginMask": 1, "endMask": 5, "shrinkAxisMask": 8}],
}
OPTIONS = {"UNPACK": "UnpackOptions", "SPLIT": "SplitOptions", "SPLIT_V": "SplitVOptions",
           "SLICE": "SliceOptions", "REVERSE_V2": "ReverseV2Options", "TILE": "TileOptions",
           "PADV2": "PadV2Options", "STRIDED_SLICE": "StridedSliceOptions"}


def file_of(kind, operands, results, fields):
    """A file of one operator, and a ReLU of the last of its results."""
    rng = np.random.default_rng(1)
    like = tensor(rng, "like", ())
    tensors = [replace(like, name=f"x{n}", shape=each) if isinstance(each, tuple) else Tensor(
        name=f"c{n}", shape=each.shape, dtype=each.dtype.name, data=np.asarray(each),
        **({"scales": like.scales, "zero_point": like.zero_point} if each.dtype == np.int8 else {}))
        for n, each in enumerate(operands)]
    first = len(tensors)
    tensors += [replace(like, name=f"y{n}", shape=shape) for n, shape in enumerate(results)]
    outputs = tuple(range(first, len(tensors)))
    operator = Operator(kind=kind, inputs=tuple(range(first)), outputs=outputs,
                        attributes=FileOptions(table=OPTIONS[kind], fields=fields))
    inputs = tuple(n for n in range(first) if tensors[n].data is None)
    return write_tflite(Graph(tensors=tuple(tensors), operators=(operator,), inputs=inputs,
                              outputs=outputs))


@pytest.mark.parametrize("kind", FILES)
def test_operators_of_files(kind):
    graph = check(file_of(kind, *FILES[kind]), np.random.default_rng(2), kind == "TILE")
    numbers = [op.index for op in graph.operators]
    assert numbers == list(range(len(FILES[kind][1]))) and all(
        len(op.outputs) == 1 for op in graph.operators)


@pytest.mark.parametrize("masks, shape", [
    ({"ellipsisMask": 2}, (1, 5, 4, 2)), ({"newAxisMask": 2}, (1, 1, 2, 4, 3)),
    ({"shrinkAxisMask": 2, "endMask": 4}, (1, 3, 3))], ids=["gap", "new axis", "end of an axis"])
def test_masks_of_slices(masks, shape):
    """Those that TensorFlow Lite Micro refuses too."""
    bounds = [table(0, 1, 1), table(1, 5, 3), table(1, 1, 1)]
    check(file_of("STRIDED_SLICE", [(1, 5, 4, 3), *bounds], [shape], masks),
          np.random.default_rng(3), True)


def test_origins():
    """Of padding before an axis: first what no operand has, then its elements in their order."""
    graph = read_tflite(file_of("PADV2", [(1, 2), np.array([[0, 0], [2, 0]], np.int32),
                                          np.int8(5)], [(1, 4)], {}))
    operator, = graph.operators
    assert origins(graph, operator).tolist() == [[-1, -1, 0, 1]] and fill_of(graph, operator) == 5
