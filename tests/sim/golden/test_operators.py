"""Golden operators against plain loops, and against TensorFlow Lite Micro itself."""


import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from sim.golden.operators import nearest
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Tensor
from systolith.references.tflm import run_tflm
from systolith.zoo.random import MAKERS, graph_of, int8, tensor


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("half_pixel_centers", [False, True])
def test_nearest_equals_reference(align_corners, half_pixel_centers):
    """Between any two sizes: pixels that are numbered tell which one was taken."""
    rng = np.random.default_rng(5)
    for size, outputs in rng.integers(1, 100, (100, 2)).tolist():
        x, y = (tensor(rng, "x", (1, n, 1, 1), scales=(1.0,), zero_point=0)
                for n in (size, outputs))
        sizes = Tensor(name="sizes", shape=(2,), dtype="int32", data=np.array([outputs, 1]))
        data = write_tflite(graph_of("RESIZE_NEAREST_NEIGHBOR", [x, sizes, y],
                                     {"factor": (1, 1)}))
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        options = model.subgraphs[0].operators[0].builtinOptions
        options.alignCorners, options.halfPixelCenters = align_corners, half_pixel_centers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        want, = run_tflm(bytes(builder.Output()),
                         np.arange(size, dtype=np.int8).reshape(1, size, 1, 1))
        np.testing.assert_array_equal(
            nearest(size, outputs, align_corners=align_corners,
                    half_pixel_centers=half_pixel_centers),
            want.ravel(), f"{size} to {outputs}")


def check(kind, seeds):
    varied = 0
    for seed in seeds:
        rng = np.random.default_rng([seed, *kind.encode()])
        data = write_tflite(MAKERS[kind](rng))
        graph = read_tflite(data)
        inputs = [int8(rng, graph.tensors[index].shape) for index in graph.inputs]
        got = run_graph(graph, *inputs)[graph.outputs[0]]
        want, = run_tflm(data, *inputs)
        assert got.dtype == want.dtype == np.int8
        np.testing.assert_array_equal(got, want, f"{kind}, seed {seed}")
        varied += np.ptp(want.astype(int)) > 10
    assert varied > len(seeds) // 3  # have results that tell something


@pytest.mark.parametrize("kind", MAKERS)
def test_equals_reference(kind):
    """Random operators through writer, reader, golden model and the reference, byte for byte."""
    check(kind, range(60))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", MAKERS)
def test_equals_reference_often(kind):
    check(kind, range(60, 660))


def mean_over(rng, axes, shape, kept):
    """A MEAN over these ``axes``."""
    cells = int(np.prod([shape[axis] for axis in axes]))
    x = tensor(rng, "x", shape)
    scales = [float(np.float32(x.scale / rng.choice([1, 2, 4, min(cells, 7), 3.7])))]
    scales = scales if rng.random() < 0.8 else [x.scale]
    table = Tensor(name="axes", shape=(len(axes),), dtype="int32", data=np.array(axes, np.int32))
    left = tuple(1 if axis in axes else size for axis, size in enumerate(shape)
                 if kept or axis not in axes)
    return graph_of("MEAN", [x, table, tensor(rng, "y", left, scales=tuple(scales))],
                    {"axes": tuple(sorted(axes))})


@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (2, 1), (1, 3), (3, 2), (1, 2, 3)])
def test_means_over_any_axes(axes):
    told = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, *axes])
        data = write_tflite(mean_over(rng, axes, (1, *rng.integers(1, 9, 3).tolist()),
                                      bool(seed % 2)))
        graph = read_tflite(data)
        x = int8(rng, graph.tensors[graph.inputs[0]].shape)
        got, want = run_graph(graph, x)[graph.outputs[0]], run_tflm(data, x)[0]
        np.testing.assert_array_equal(got, want, f"seed {seed}, {graph}")
        told += np.ptp(want.astype(int)) > 10
    assert told > 5 or len(axes) == 3  # which gives one number
