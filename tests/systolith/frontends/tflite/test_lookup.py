# amaranth: UnusedElaboratable=no
"""Functions of one number that no record has, against the whole model on its runtime."""

import functools

import numpy as np
import pytest

from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.attributes import Lookup
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError, Operator
from systolith.references.whole_model import WholeModel
from systolith.runtime.simulated_accelerator import SimulatedAccelerator
from systolith.zoo.random import Chain


class Net(Chain):
    def __init__(self, seed, shape):
        super().__init__(np.random.default_rng(seed))
        self.tensors = []
        self.last = self.tensor(shape, 0.02, 5)

    def put(self, kind, constant=None, first=False, twice=False, table=None, **fields):
        """An operator of the file: of the last tensor and a ``constant``, or of that ``twice``."""
        x, shape = self.last, self.tensors[self.last].shape
        inputs = [x]
        if constant is not None:
            other = self.constant(np.array(constant, np.int8), (0.03,))
            inputs = [other, x] if first else [x, other]
        elif twice:
            inputs = [x, x]
        self.last = self.tensor(shape, float(np.float32(0.04)), -3)
        options = FileOptions(table=table, fields=fields) if table else FileOptions()
        self.operators.append(Operator(kind=kind, inputs=tuple(inputs), outputs=(self.last,),
                                       index=len(self.operators), attributes=options))


CASES = {
    "product": {"kind": "MUL", "constant": [57], "table": "MulOptions"},
    "product by a scalar": {"kind": "MUL", "constant": 100, "first": True, "table": "MulOptions",
                            "fusedActivationFunction": 1},
    "difference": {"kind": "SUB", "constant": [[-20]], "table": "SubOptions"},
    "difference from a constant": {"kind": "SUB", "constant": 90, "first": True,
                                   "table": "SubOptions"},
    "sum": {"kind": "ADD", "constant": [33, 33, 33], "table": "AddOptions"},
    "square": {"kind": "MUL", "twice": True, "table": "MulOptions"},
    "squared difference": {"kind": "SQUARED_DIFFERENCE", "constant": 5,
                           "table": "SquaredDifferenceOptions"},
    "elu": {"kind": "ELU"},
}


@functools.cache
def accelerator():
    return SimulatedAccelerator(small_build(4, 4))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(1, 5, 7, 3), (1, 3)], ids=["image", "vector"])
def test_as_the_runtime(name, shape):
    net = Net(len(name), shape)
    net.put(**CASES[name])
    data = write_tflite(net.graph())
    graph = read_tflite(data)
    operator, = graph.operators
    assert operator.kind in {"LOOKUP", CASES[name]["kind"]}
    rng = np.random.default_rng(4)
    x = rng.integers(-128, 128, (100, *shape[1:])).astype(np.int8)
    want, = WholeModel(data, graph).run(x)
    np.testing.assert_array_equal(run_graph(graph, x)[graph.outputs[0]], want)
    assert len(np.unique(want)) > 2
    simulated = accelerator()
    simulated.load(compile_graph(graph, simulated.params))
    np.testing.assert_array_equal(simulated.run(x[:1]).values[graph.outputs[0]], want[:1])


def test_a_constant_for_each_channel_is_no_table():
    net = Net(1, (1, 2, 2, 3))
    net.put("MUL", constant=[1, 2, 3], table="MulOptions")
    kinds = set()
    try:
        kinds = {op.kind for op in read_tflite(write_tflite(net.graph())).operators}
    except ModelError as error:
        assert "operator 0 (MUL)" in str(error)
    assert "LOOKUP" not in kinds


def test_tables_are_of_all_bytes():
    assert Lookup(table=tuple(range(-128, 128))).complaint() == ""
    for table in ((0,) * 255, (0,) * 255 + (128,)):
        assert Lookup(table=table).complaint().startswith("the table must have 256 int8 numbers")
