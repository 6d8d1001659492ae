"""The ONNX backend's own tests of operators, as far as they are of integers."""

import importlib
import warnings

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case import node as cases

from host.edges import from_graph, to_graph
from host.golden_run import run_graph
from host.onnx import read_onnx

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


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    for data, xs, ys in lines(name):
        graph = read_onnx(data)
        source, target = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
        for x, y in zip(xs, ys, strict=True):
            values = run_graph(graph, to_graph(source, x[None]))
            np.testing.assert_array_equal(from_graph(target, values[graph.outputs[0]])[0], y)
