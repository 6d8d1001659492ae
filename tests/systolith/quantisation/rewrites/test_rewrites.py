"""Rewritten graphs give the numbers of the graphs that they were."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from systolith.quantisation.rewrites import rewritten

SHAPE = 2, 3, 4, 5


def model(nodes, constants, shape=SHAPE, outputs=("y",)):
    """A float model of an input ``x``; operators are (kind, inputs, output, attributes)."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, inputs.split(), [output], **attributes)
         for kind, inputs, output, attributes in nodes], "rewritten",
        [value("x", TensorProto.FLOAT, shape)],
        [value(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
         if any(name in inputs.split() for _, inputs, *_ in nodes)])
    return shape_inference.infer_shapes(helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)]))


def results(model, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})


def check(before, kinds, shape=SHAPE):
    """Rewrite a model, which then has operators of ``kinds`` and gives the same numbers."""
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    want = results(before, x)
    after = rewritten(before)
    assert [node.op_type for node in after.graph.node] == kinds.split()
    for got, value in zip(results(after, x), want, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-4)
    read = {name for node in after.graph.node for name in node.input}
    assert {each.name for each in after.graph.initializer} <= read


@pytest.mark.parametrize("shape, axes, keep, kinds", [
    (SHAPE, [2, 3], 1, "GlobalAveragePool"),
    (SHAPE, [-1, -2], 0, "GlobalAveragePool Flatten"),
    ((2, 3, 8), [2], 0, "GlobalAveragePool Flatten"),
    (SHAPE, [1, 2], 0, "ReduceMean"),
    (SHAPE, [2], 1, "ReduceMean"),
    ((2, 3), [1], 1, "ReduceMean"),
], ids=lambda value: str(value))
def test_means(shape, axes, keep, kinds):
    check(model([("ReduceMean", "x axes", "y", {"keepdims": keep})], {"axes": np.array(axes)},
                shape), kinds, shape)


def test_sums():
    check(model([("Sum", "x x", "t", {}), ("Sum", "t x t", "y", {})], {}), "Add Add Add")


def constants(rng, channels=3):
    """One for each operator on channels, of either kind of shape, and those of a norm."""
    one = rng.uniform(0.5, 2, channels).astype(np.float32)
    return {"a": one[:, None, None], "b": rng.normal(size=(1, channels, 1, 1)).astype(np.float32),
            "s": np.float32(0.25), "gamma": one, "mean": -one, "variance": one ** 2}


STEPS = {
    "x + a": ("Add", "{x} a"), "x - b": ("Sub", "{x} b"), "b - x": ("Sub", "b {x}"),
    "x * b": ("Mul", "{x} b"), "s * x": ("Mul", "s {x}"), "x / a": ("Div", "{x} a"),
    "norm": ("BatchNormalization", "{x} gamma mean mean variance"),
}


def test_channels():
    """Any operators on channels, one after the other, are one convolution."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        steps = rng.choice(list(STEPS), rng.integers(1, 5))
        nodes = [(kind, inputs.format(x=f"t{at}" if at else "x"),
                  f"t{at + 1}" if at + 1 < len(steps) else "y", {})
                 for at, (kind, inputs) in enumerate(STEPS[step] for step in steps)]
        check(model(nodes, constants(rng)), "Conv")


@pytest.mark.parametrize("nodes, kinds", [
    ([("Div", "s x", "y", {})], "Div"),
    ([("Add", "x map", "y", {})], "Add"),
    ([("Add", "x larger", "y", {})], "Add"),
    ([("Add", "x x", "y", {})], "Add"),
    ([("Mul", "x a", "t", {}), ("Relu", "t", "u", {}), ("Add", "t b", "v", {}),
      ("Add", "u v", "y", {})], "Conv Relu Conv Add"),
], ids=["reciprocal", "by pixel", "broadcast", "two tensors", "read twice"])
def test_what_is_no_chain_of_them(nodes, kinds):
    more = {"map": np.ones(SHAPE, np.float32), "larger": np.ones((2, 2, 1, 1, 1), np.float32)}
    check(model(nodes, constants(np.random.default_rng(2)) | more), kinds)


def test_an_output_ends_a_chain():
    nodes = [("Mul", "x a", "t", {}), ("Add", "t b", "y", {})]
    check(model(nodes, constants(np.random.default_rng(2)), outputs=("t", "y")), "Conv Conv")


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("step", ["norm", "x * v", "v - x"])
def test_gemm(transposed, step):
    rng = np.random.default_rng(3)
    kind, inputs = {"norm": STEPS["norm"], "x * v": ("Mul", "{x} v"),
                    "v - x": ("Sub", "v {x}")}[step]
    weights = rng.normal(size=(6, 4)).astype(np.float32)
    numbers = constants(rng, 4) | {"w": weights.T if transposed else weights,
                                   "c": np.float32(0.5), "v": rng.normal(size=4).astype("f4")}
    nodes = [("Gemm", "x w c", "t", {"transB": transposed, "alpha": 0.5, "beta": 2.0}),
             (kind, inputs.format(x="t"), "u", {}), (kind, inputs.format(x="u"), "y", {})]
    check(model(nodes, numbers, (2, 6)), "Gemm " + kind, (2, 6))
