"""The ONNX backend's own tests of operators, as far as they are of integers."""

import functools
import importlib
import warnings

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case import node as cases

from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.frontends.onnx import read_onnx
from systolith.graph.file_layout import from_graph, to_graph
from systolith.graph.interpreter import run_graph
from systolith.runtime.simulated_accelerator import SimulatedAccelerator

#: Tests of operators that the importer knows, on int8 or uint8, by what they ask for.
KINDS = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MaxPool", "Clip")


def collect():
    """Cases with a first input of int8 or uint8, by name, but for those of an operator spelt out
    in others."""
    for kind in KINDS:  # the wheel's own function would import, and so compute, those of all kinds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(f"{cases.__name__}.{kind.lower()}")
    return {case.name: case for case in cases._NodeTestCases
            if case.model.graph.input[0].type.tensor_type.elem_type in {2, 3}
            and not case.name.endswith("_expanded")}


CASES = collect()


def bound(case, batch=None):
    """The model with all operands but the first as constants, data in and data out.

    A float16 scale becomes the same float32. Sums of int32 are quantised with the scale 1, as all
    of them fit a byte; so are matrices with several lines taken for so many inputs. ``batch`` picks
    one of a stack of matrices.
    """
    graph, (inputs, outputs) = case.model.graph, case.data_sets[0]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    x, *rest = inputs
    y, *_ = outputs
    if batch is not None:
        x, y = x[batch], y[batch]
        rest = [each[batch] if each.ndim == 3 else each for each in rest]
    del model.graph.input[1:]
    for each, array in zip(graph.input[1:], rest, strict=True):
        array = array.astype(np.float32) if array.dtype == np.float16 else array
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), each.name))
    sizes = [1, *x.shape[1:]]
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    for size in sizes:
        model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = size
    result = model.graph.output[0]
    if y.dtype == np.int32:
        low = -128 if y.min() < 0 else 0
        assert low <= y.min() and y.max() < low + 256
        y = y.astype(np.int8 if low else np.uint8)
        for array, name in ((np.float32(1), "one"), (y.dtype.type(0), "zero")):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        model.graph.node.append(helper.make_node("Cast", [result.name], ["float"], to=1))
        model.graph.node.append(helper.make_node("QuantizeLinear", ["float", "one", "zero"],
                                                 ["quantised"]))
        result.name = "quantised"
    return model.SerializeToString(), x, y


def lines(name):
    """Models of one input each: (bytes, inputs, outputs)."""
    case = CASES[name]
    stack = case.data_sets[0][0][0]
    if stack.ndim == 3 and "matmul" in name:
        return [bound(case, batch) for batch in range(len(stack))]
    return [bound(case)]


def golden(graph, x):
    return run_graph(graph, x)[graph.outputs[0]]


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(4, 4, rounding="both", weight_bytes=1 << 19))


def accelerated(graph, x):
    program = compile_graph(graph, accelerator().params)
    assert not program.rest
    accelerator().load(program)
    return accelerator().run(x).values[graph.outputs[0]]


def test_all_are_there():
    assert sorted(CASES) == sorted(f"test_{name}" for name in (
        "qlinearconv", *(f"qlinearmatmul_{rank}_{integers}_{floats}" for rank in ("2D", "3D")
                         for integers in ("int8", "uint8") for floats in ("float16", "float32")),
        "convinteger_with_padding", "convinteger_without_padding", "matmulinteger",
        "maxpool_2d_uint8", "clip_default_int8_inbounds", "clip_default_int8_max",
        "clip_default_int8_min"))


@pytest.mark.parametrize("run", [golden, accelerated])
@pytest.mark.parametrize("name", CASES)
def test_node(name, run):
    for data, xs, ys in lines(name):
        graph = read_onnx(data)
        source, target = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
        for x, y in zip(xs, ys, strict=True):
            got = from_graph(target, run(graph, to_graph(source, x[None])))[0]
            np.testing.assert_array_equal(got, y)
            assert got.dtype == y.dtype
