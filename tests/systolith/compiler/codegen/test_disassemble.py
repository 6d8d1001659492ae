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
    ("0 JUMP", r"^line 1: the kind 'JUMP' is not one of .*POOL.* in '0 JUMP'$"),
    ("0 16", r"^line 1: the kind '16' is not one of "),
    ("0", r"^line 1: a descriptor must begin with its number, 0, and its kind in '0'$"),
    ("0 POOL it", r"^line 1: a descriptor must begin with its number, 0, and its kind in "),
    ("0 POOL\n\n0 END", r"^line 3: a descriptor must begin with its number, 1, and its kind in "),
    ("  maximum = 1", r"^line 1: a field comes before the first descriptor in 'maximum = 1'$"),
    ("0 POOL\n  kind = 3", r"^line 2: kind is there already in "),
    ("0 POOL\n  maximum = 1\n  maximum = 0", r"^line 3: maximum is there already in "),
    ("0 POOL\n  range = {low=1, low=2}", r"^line 2: low is there already in "),
    ("0 POOL\n  range = {low=1 high=2}", r"^line 2: a comma or '}' is missing in "),
    ("0 POOL\n  range = {lowest=1}", r"^line 2: there is no field 'range.lowest', only zero_p"),
    ("0 POOL\n  range = {low=128}", r"^line 2: range.low must be at most 127 in this build, not "),
    ("0 POOL\n  range = {low=-129}", r"^line 2: range.low must be at least -128 in this build, "),
    ("0 POOL\n  range = 3", r"^line 2: range must be \{...\}, not 3 in "),
    ("0 POOL\n  maximum = [1]", r"^line 2: maximum must be a number, not \[1\] in "),
    ("0 POOL\n  maximum = " + "[" * 5000, r"^line 2: there are more than 8 brackets within each "),
    ("0 POOL\n  maximum = \u0661", r"^line 2: '\u0661' is no value in "),
    ("0 CONV\n  fetch = {loops=[" + "{count=1}, " * 9 + "]}",
     r"^line 2: fetch.loops has 9 elements, but \d in this build in "),
    ("0 POOL\n  minimum = 1", r"^line 2: there is no field 'minimum', only .*maximum.* in "),
    ("0 POOL\n  maximum =", r"^line 2: a value is missing in "),
    ("0 POOL\n  range = {low=1", r"^line 2: a bracket is not closed in "),
    ("0 POOL\n  range = {low 1}", r"^line 2: a field must be name=value in "),
    ("0 POOL\n  maximum = 1 2", r"^line 2: a value is followed by more in "),
    ("0 POOL\n  maximum = ?", r"^line 2: '\?' is no value in "),
    ("0 POOL\n  maximum = 2", r"^line 2: maximum must be at most 1 in this build, not 2 in "),
])
def test_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        assemble(BUILDS["8x8"], text)


@pytest.mark.parametrize("change, message", [
    (lambda raw: raw[:-1], r"^\d+ words are no descriptors of \d+ each$"),
    (lambda raw: raw | (np.arange(len(raw)) == len(raw) - 1).astype(np.uint32) << 31,
     "^descriptor 1 has bits that no field of this build is for$")], ids=["short", "bits"])
def test_words_that_are_no_descriptors(change, message):
    build = BUILDS["8x8"]
    assert descriptor_of(build).size % 32  # or the last bit would be one of a field
    with pytest.raises(ValueError, match=message):
        disassemble(build, change(assemble(build, "0 POOL\n1 END")))


def test_notes_are_of_one_line():
    build = BUILDS["8x8"]
    raw = assemble(build, "0 POOL\n1 END")
    text = disassemble(build, raw, ["a kind\n7 POOL # of somebody else's"])
    assert text == "0 POOL  # a kind 7 POOL # of somebody else's\n1 END"
    np.testing.assert_array_equal(assemble(build, text), raw)
