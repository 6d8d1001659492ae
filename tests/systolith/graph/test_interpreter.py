"""What the interpreter gives is what a graph says that it is, whatever a record does."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import OperatorRecord, RecordError, records

X = Tensor(name="x", shape=(1, 2, 3), scales=(0.1,))

#: Lines of each image, one after the other along the first axis.
GRAPH = Graph(tensors=(X, replace(X, name="y", shape=(2, 3))), inputs=(0,), outputs=(1,),
              operators=(Operator(kind="LINES", inputs=(0,), outputs=(1,), index=4),))


def run(monkeypatch, golden, images=3):
    monkeypatch.setitem(records(), "LINES", OperatorRecord(
        kind="LINES", shape=lambda graph, operator: (2, 3),
        golden={"tflm": lambda graph, operator, x: golden(x)}))
    x = np.arange(6 * images, dtype=np.int8).reshape(images, 2, 3)
    return run_graph(GRAPH, x)[1]


def test_the_first_axis_grows_with_the_images(monkeypatch):
    y = run(monkeypatch, lambda x: x.reshape(-1, 3))
    np.testing.assert_array_equal(y, np.arange(18).reshape(6, 3))


@pytest.mark.parametrize("golden, message", [
    (lambda x: x.reshape(-1, 3).astype(np.int16), "must give an array of int8, not int16"),
    (lambda x: x.reshape(-1, 3).tolist(), "must give an array of int8, not list"),
    (lambda x: None, "must give an array of int8, not NoneType"),
    (lambda x: x, r"gives the shape \(3, 2, 3\) instead of \(6, 3\)"),
    (lambda x: x[:1].reshape(2, 3), r"gives the shape \(2, 3\) instead of \(6, 3\)"),
], ids=["int16", "list", "nothing", "another shape", "one image"])
def test_a_golden_model_that_gives_something_else(monkeypatch, golden, message):
    with pytest.raises(RecordError, match=rf"^operator 4 \(LINES\): its golden model {message}$"):
        run(monkeypatch, golden)
