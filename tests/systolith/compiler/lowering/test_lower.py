"""Layers of a record are layers."""

from dataclasses import replace

import numpy as np
import pytest

from systolith.compiler import compile_graph
from systolith.compiler.fitting import small_build
from systolith.graph.record import RecordError, records
from systolith.zoo.random import MAKERS


@pytest.mark.parametrize("lower, given", [
    (lambda context, operator: None, "None"), (lambda context, operator: [operator.kind],
                                               "['LOGISTIC']")], ids=["none", "names"])
def test_a_record_that_gives_no_layers(monkeypatch, lower, given):
    graph = MAKERS["logistic"](np.random.default_rng(1))
    monkeypatch.setitem(records(), "LOGISTIC", replace(records()["LOGISTIC"], lower=lower))
    with pytest.raises(RecordError) as raised:
        compile_graph(graph, small_build(4, 4))
    assert str(raised.value) == ("operator 0 (LOGISTIC): the lower of its record must give a list "
                                 f"of layers, not {given}")
