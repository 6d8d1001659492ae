"""Words that messages share."""

import pytest

from boards.board import boards
from boards.devices import DEVICES
from rtl.validate import one_of
from rtl.wording import counted, did_you_mean, joined


@pytest.mark.parametrize("arguments, text", [
    ((1, "layer"), "1 layer"), ((2, "layer"), "2 layers"), ((0, "layer"), "0 layers"),
    ((1, "retry", "retries"), "1 retry"), ((1024, "retry", "retries"), "1,024 retries")])
def test_counts(arguments, text):
    assert counted(*arguments) == text


@pytest.mark.parametrize("words, text", [
    (["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")])
def test_lists(words, text):
    assert joined(words, "or") == text


@pytest.mark.parametrize("name, meant", [
    ("iceberaker", "icebreaker"), ("iCEBreaker", "icebreaker"), ("ulx3s-25", "ulx3s-25f"),
    ("ulx3s", "ulx3s-12f, ulx3s-25f or ulx3s-45f"), ("upduno", "upduino or upduino-spi"),
    ("hx8k-breakout", "hx8k"), ("arty", ""), ("", ""), ("s", ""), (None, ""), (3, "")])
def test_boards_that_are_meant(name, meant):
    assert did_you_mean(name, boards()) == (f"; did you mean {meant}?" if meant else "")


def test_a_choice_says_what_is_meant():
    with pytest.raises(ValueError, match=r"^device must be one of .*, not 'up5'; did you mean "
                                         r"up5k\?$"):
        one_of("device", "up5", DEVICES)
    with pytest.raises(ValueError, match=r"^bits must be one of 8, 16, not 9$"):
        one_of("bits", 9, (8, 16))
