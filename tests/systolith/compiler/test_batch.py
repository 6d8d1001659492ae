"""The first axis of tensors."""

import numpy as np
import pytest

from systolith.compiler.batch import check_graph
from systolith.graph.ir import Graph, Tensor, make_operator
from systolith.zoo.random.shapes import SHAPES


def test_what_is_of_one_image_passes():
    check_graph(SHAPES["tiny conv"](np.random.default_rng(2)))


@pytest.mark.parametrize("kind, refused", [("RELU", True), ("SOFTMAX", False)])
def test_only_what_the_accelerator_runs_is_of_one_image(kind, refused):
    x, y = (Tensor(name=name, shape=(2, 4), scales=(1 / 256,), zero_point=-128) for name in "xy")
    graph = Graph(tensors=(x, y), inputs=(0,), outputs=(1,), operators=(make_operator(
        kind=kind, inputs=(0,), outputs=(1,), attributes={}),))
    if not refused:
        check_graph(graph)
        return
    with pytest.raises(ValueError, match=r"^tensor 0 \(x\) has the shape \(2, 4\); the first axis"):
        check_graph(graph)
