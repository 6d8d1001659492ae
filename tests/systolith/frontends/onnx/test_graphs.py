"""Random networks in .onnx files, in both forms, against onnxruntime: every layer, every byte."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.frontends.onnx import read_onnx
from systolith.graph.interpreter import run_graph
from systolith.references.onnxruntime import OnnxReference
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import FORMS, MAKERS, MOVING, int8, onnx_network

TYPES = "int8", "uint8"

#: Kinds of single operators, and those among them that compute no new numbers.
KINDS = [kind for kind in MAKERS
         if kind not in {"hard swish", "relu", "relu6", "tanh", "transposed"}]
COPYING = {"concatenation", "pad", "reshape", "resize"}


def networks(form, dtype, seeds, **steps):
    """Seed, generator, graph and reference of each network."""
    for seed in seeds:
        rng = np.random.default_rng([seed, form == "qdq", dtype == "uint8"])
        data = onnx_network(rng, form, dtype, **steps).model(floats=form == "qdq" and seed % 2)
        yield seed, rng, read_onnx(data), OnnxReference(data)


def golden(form, dtype, seeds, **steps):
    told = layers = 0
    for seed, rng, graph, reference in networks(form, dtype, seeds, **steps):
        x = int8(rng, graph.tensors[graph.inputs[0]].shape)
        got, want = run_graph(graph, x), reference.layers(x)
        assert set(graph.outputs) <= set(want)
        for index, value in want.items():
            np.testing.assert_array_equal(got[index], value, f"seed {seed}, {graph.tensors[index]}")
            layers += 1
            told += np.ptp(value.astype(int)) > 10
    assert told > layers / 2


@functools.cache
def accelerator(rows, cols, rounding):
    return SimulatedAccelerator(small_build(rows, cols, rounding=rounding,
                                            weight_bytes=1 << 19))


def accelerated(build, form, dtype, seeds, **steps):
    """Run networks on the RTL; operators that were left to the host."""
    simulated, local = accelerator(*build), []
    for seed, rng, graph, reference in networks(form, dtype, seeds, **steps):
        x = int8(rng, graph.tensors[graph.inputs[0]].shape)
        try:
            program = compile_graph(graph, simulated.params, keep=seed % 2 == 1)
            simulated.load(program)
            got = simulated.run(x).values
        except Exception as error:
            raise AssertionError(f"seed {seed}: {graph.operators}") from error
        want = reference.layers(x)
        assert set(graph.outputs) <= set(got) & set(want)
        for index in set(got) & set(want):
            np.testing.assert_array_equal(got[index], want[index],
                                          f"seed {seed}, {graph.tensors[index]}")
        local += [operator.kind for operator in program.rest]
    return local


def operator_graph(kind, rng):
    """A random operator as an .onnx file would have it; its golden model is tried on its own."""
    graph = MAKERS[kind](rng)
    operator, = graph.operators
    changed = {}
    low, high = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    if kind == "average pool":
        changed["count_padding"] = bool(rng.integers(2))
    if kind not in COPYING:
        changed |= {"range": (low, high), "activation": "NONE"}
    unsigned = bool(rng.integers(2))
    tensors = [replace(each, unsigned=unsigned) if each.data is None else each
               for each in graph.tensors]
    if kind == "average pool" and rng.random() < 0.7:
        for index, shift in ((0, 5), (-1, 5 + int(rng.integers(0, 2)))):
            tensors[index] = replace(tensors[index], scales=(2.0 ** -shift,))
    return replace(graph, tensors=tuple(tensors), rounding="float32",
                   operators=(replace(operator, attributes=replace(
                       operator.attributes, **changed)),))


def operators(kind, build, seeds):
    simulated = accelerator(*build)
    for seed in seeds:
        rng = np.random.default_rng([9, seed, *kind.encode()])
        graph = operator_graph(kind, rng)
        inputs = [int8(rng, graph.tensors[index].shape) for index in graph.inputs]
        program = compile_graph(graph, simulated.params)
        simulated.load(program)
        got, want = simulated.run(*inputs).values, run_graph(graph, *inputs)
        output, = graph.outputs
        np.testing.assert_array_equal(got[output], want[output], f"seed {seed}, {graph.operators}")


@pytest.mark.parametrize("kind", KINDS)
def test_operators(kind):
    operators(kind, (4, 4, "both"), range(3))


@pytest.mark.heavy
@pytest.mark.parametrize("build", [(8, 8, "float32"), (5, 3, "both")])
@pytest.mark.parametrize("kind", KINDS)
def test_many_operators(kind, build):
    operators(kind, build, range(3, 43))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_golden(form, dtype):
    golden(form, dtype, range(30))


@pytest.mark.parametrize("form", FORMS)
def test_movements(form):
    golden(form, "uint8", range(60), steps=MOVING)
    accelerated((4, 4, "both"), form, "int8", range(8), steps=MOVING)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_accelerator(form, dtype):
    local = accelerated((4, 4, "both"), form, dtype, range(8))
    assert set(local) <= {"SOFTMAX", "AVERAGE_POOL_2D"}


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_many_golden(form, dtype):
    golden(form, dtype, range(30, 1000))


@pytest.mark.heavy
@pytest.mark.parametrize("build", [(8, 8, "float32"), (5, 3, "both")])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_many_accelerated(build, form, dtype):
    accelerated(build, form, dtype, range(8, 108))
