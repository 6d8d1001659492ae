"""Inputs are compact, or not, whichever fits."""

from dataclasses import replace

import numpy as np
import pytest

from systolith import compiler
from systolith.compiler.choice import chosen, program_of, session_program
from systolith.compiler.compile import compile_graph, needs_of
from systolith.compiler.estimate import check
from systolith.compiler.fitting import fit, shortages, small_build
from systolith.frontends.tflite import read_tflite
from systolith.zoo.digits import model_bytes
from systolith.zoo.random.shapes import mobilenet


def test_what_fits_compact_alone_is_not_too_large():
    graph = mobilenet(np.random.default_rng(1), (20, 16), ((16, 1),))
    params = replace(fit(graph, small_build(8, 8)), activation_bytes=2048)
    least = needs_of(graph, params, compact=True)["activation_bytes"]
    assert least <= 2048 < needs_of(graph, params)["activation_bytes"]
    with pytest.raises(ValueError, match="^the network does not fit; activation bytes: "):
        compile_graph(graph, params)
    want = compile_graph(graph, params, compact=True)
    assert not shortages(graph, params) and not check(graph, params).short
    for program in (program_of(graph, params), session_program(graph, params)[0]):
        np.testing.assert_array_equal(program.descriptors, want.descriptors)
    short, = shortages(graph, replace(params, activation_bytes=1024))
    assert short.need == least


def test_the_first_error_is_told():
    def work(compact):
        raise ValueError(f"compact: {compact}")

    with pytest.raises(ValueError, match="^compact: True$"):
        chosen(work, True)


def test_compact_inputs_give_way_to_those_that_fit(monkeypatch):
    """They may go with weights that take more bytes."""
    graph, params = read_tflite(model_bytes()), small_build(8, 8)

    def compile_graph(*args, compact=False, **options):
        if compact:
            raise ValueError("weight bytes: 1 more than there are")
        return compiler.compile_graph(*args, **options)

    monkeypatch.setattr("systolith.compiler.choice.compile_graph", compile_graph)
    program, alone = session_program(graph, params, compact=True)
    want, _ = session_program(graph, params)
    np.testing.assert_array_equal(program.weights, want.weights)
    assert not alone
    with pytest.raises(ValueError, match="^weight bytes: 1 more than"):
        session_program(graph, small_build(8, 8, weight_bytes=64), compact=True)
