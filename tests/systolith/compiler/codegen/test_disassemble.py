# amaranth: UnusedElaboratable=no
"""Descriptors as text, and back: of real programs, and of any bits."""

import numpy as np
import pytest

from boards.board import boards
from boards.builds import up5k_build
from rtl.accelerator import descriptor_of, descriptor_words
from systolith.compiler import compile_graph
from systolith.compiler.codegen.disassemble import assemble, disassemble, text_of_program
from systolith.compiler.fitting import fit, small_build
from systolith.zoo.random import network

BUILDS = {"8x8": small_build(8, 8), "4x4 single memory": up5k_build(),
          "2 of 4x4": small_build(4, 4, pixel_lanes=2, rounding="both"),
          **{name: board.params for name, board in boards().items()}}


@pytest.mark.parametrize("name", ["8x8", "4x4 single memory", "2 of 4x4"])
def test_programs(name):
    for seed in range(10):
        graph = network(np.random.default_rng([5, seed]))
        build = fit(graph, BUILDS[name])
        program = compile_graph(graph, build)
        text = text_of_program(program)
        np.testing.assert_array_equal(assemble(build, text), program.descriptors)
        assert all(f"# {layer.operator}" in text for layer in program.layers)
        assert text.count(" END") == len(program.segments)


@pytest.mark.parametrize("name", BUILDS)
def test_any_bits(name):
    build, rng = BUILDS[name], np.random.default_rng(1)
    words, size = descriptor_words(build), descriptor_of(build).size
    bits = rng.integers(0, 2, (20, 32 * words), np.uint8)
    bits[:, size:] = 0
    raw = np.packbits(bits, axis=1, bitorder="little").reshape(-1).view("<u4")
    np.testing.assert_array_equal(assemble(build, disassemble(build, raw)), raw)


def test_comments_and_empty_lines_say_nothing():
    build = BUILDS["8x8"]
    text = "# a program\n\n0 POOL  # what it is for\n  maximum = 1\n\n1 END\n"
    assert disassemble(build, assemble(build, text)) == "0 POOL\n  maximum = 1\n1 END"
    assert assemble(build, "").size == 0


@pytest.mark.parametrize("text, message", [
    ("0 JUMP", r"^line 1: 'JUMP' in '0 JUMP'$"),
    ("  maximum = 1", r"^line 1: list index out of range in 'maximum = 1'$"),
    ("0 POOL\n  minimum = 1", r"^line 2: there is no field 'minimum', only .*maximum.* in "),
    ("0 POOL\n  maximum =", r"^line 2: a value is missing in "),
    ("0 POOL\n  range = {low=1", r"^line 2: a bracket is not closed in "),
    ("0 POOL\n  range = {low 1}", r"^line 2: a field must be name=value in "),
    ("0 POOL\n  maximum = 1 2", r"^line 2: a value is followed by more in "),
    ("0 POOL\n  maximum = ?", r"^line 2: '\?' is no value in "),
    ("0 POOL\n  maximum = 2", r"^maximum must be at most 1 in this build, not 2$"),
])
def test_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        assemble(BUILDS["8x8"], text)
