"""The first axis of tensors."""

import numpy as np
import pytest

from systolith import Session
from systolith.compiler.batch import check_batch
from systolith.graph.ir import Graph, Tensor, make_operator


@pytest.mark.parametrize("kind, refused", [("RELU", True), ("SOFTMAX", False)])
def test_only_what_the_accelerator_runs_is_of_one_image(kind, refused):
    x, y = (Tensor(name=name, shape=(2, 4), scales=(1 / 256,), zero_point=-128) for name in "xy")
    graph = Graph(tensors=(x, y), inputs=(0,), outputs=(1,), operators=(make_operator(
        kind=kind, inputs=(0,), outputs=(1,), attributes={}),))
    if not refused:
        assert Session(graph, "golden").run(np.zeros((3, 4), np.int8)).shape == (3, 4)
        return
    for check in (lambda: check_batch(graph, [0]), lambda: Session(graph, "golden")):
        with pytest.raises(ValueError, match=r"^tensor 0 \(x\) has the shape \(2, 4\); the f"):
            check()
