# amaranth: UnusedElaboratable=no
"""What phases made of a network, as text; and that docs/compiler.md shows the same."""

import re

import numpy as np
import pytest

from boards.board import board_of
from systolith.compiler.dump import PHASES, dump
from systolith.compiler.fitting import small_build
from systolith.compiler.passes import PASSES
from systolith.frontends.tflite import read_tflite
from systolith.zoo.digits import model_bytes
from systolith.zoo.random import Chain
from tests.support.paths import ROOT

DIGITS = read_tflite(model_bytes())
BOARD = board_of("ulx3s-25f").params


def shown(phase):
    """The block that docs/compiler.md shows of a phase, by lines."""
    text = ROOT.joinpath("docs", "compiler.md").read_text()
    block = re.search(rf"\(`--dump {phase}`\).*?```\n(.*?)```", text, re.DOTALL)
    return block[1].splitlines()


@pytest.mark.parametrize("phase", ["graph", "schedule", "memory", "program"])
def test_the_page_is_up_to_date(phase):
    """Its lines are lines of the output, in their order; ``...`` stands for others."""
    rest, gap = dump(DIGITS, BOARD, phase).splitlines(), False
    lines = shown(phase)
    assert len(lines) > 5
    for line in lines:
        if line == "...":
            gap = True
            continue
        at = rest.index(line)
        assert gap or at == 0 or line is lines[0], line
        rest, gap = rest[at + 1:], False


def test_passes():
    """A padding goes into the convolution behind it: two passes change the graph."""
    chain = Chain(np.random.default_rng(1))
    chain.pad()
    chain.conv()
    text = dump(chain.graph(), small_build(4, 4), "passes")
    changed = [part.split(":")[0] for part in text.split("\n\n") if "no change" not in part]
    assert changed == ["after fuse_padding", "after remove_dead_operators"]
    assert "PAD" not in text.split("after remove_dead_operators")[1]
    assert dump(DIGITS, BOARD, "passes").count("no change") == len(PASSES)


def test_unknown_phase():
    with pytest.raises(ValueError,
                       match=f"^the phase must be one of {', '.join(PHASES)}, not 'x'$"):
        dump(DIGITS, BOARD, "x")
