"""Figures of an evaluation, by hand."""

import numpy as np
import pytest

from systolith.quantisation.agreement import Agreement, Input, evaluated

SCORES = np.float32([[1, 3, 2], [4, 0, 0], [0, 1, 5], [2, 1, 0]])
REAL = np.float32([[1, 2, 3], [4, 0, 0], [0, 1, 4], [2, 1, 0]])
LABELS = np.array([1, 2, 2, 0])
MAPS = np.zeros((4, 2, 2), np.float32)


def test_with_a_float_network():
    found = evaluated(["scores", "map"], [0, 10, 20, 30], [SCORES, MAPS],
                      [REAL, MAPS.reshape(4, 4)], LABELS, 2)
    assert (found.count, found.accuracy, found.float_accuracy) == (4, 0.75, 0.5)
    assert found.agreement == (
        Agreement(name="scores", same_class=0.75, mean_error=0.25, largest_error=1.0,
                  sqnr=pytest.approx(10 * np.log10(52 / 3))),
        Agreement(name="map", same_class=None, mean_error=0.0, largest_error=0.0, sqnr=None))
    assert found.worst == (
        Input(index=0, label=1, int8_class=1, float_class=2, error=1.0),
        Input(index=20, label=2, int8_class=2, float_class=2, error=1.0))


def test_without_one():
    """Worst is what is classified wrongly."""
    found = evaluated(["map", "scores"], range(4), [MAPS, SCORES], None, LABELS, 5)
    assert (found.accuracy, found.float_accuracy, found.agreement) == (0.75, None, ())
    assert found.worst == (Input(index=1, label=2, int8_class=0, float_class=None, error=4.0),)
    assert evaluated(["map"], range(4), [MAPS], None, None, 5).worst == ()


@pytest.mark.parametrize("outputs, real, labels, message", [
    ([SCORES], [REAL, REAL], None, "2 outputs, and the int8 one 1: it is another network"),
    ([SCORES], [REAL[:, :2]], None, r"shape \(4, 2\), and of the int8 one \(4, 3\)"),
    ([MAPS], None, LABELS, "no output has a score for each class"),
    ([SCORES], None, LABELS + 1, "labels must be between 0 and 2"),
], ids=["outputs", "shape", "scores", "labels"])
def test_what_does_not_go_together(outputs, real, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluated(["out"], range(4), outputs, real, labels, 5)
