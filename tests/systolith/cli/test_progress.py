"""What is said of work while it lasts."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from systolith.cli import progress as module
from systolith.cli.progress import Estimate, progress


def test_progress_without_a_terminal(monkeypatch, capsys):
    """A line for each step, but not for each number of one that counts."""
    now = iter([0, 1, 2, 3, 4, 63, 64, 65, 66, 67])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with progress() as step:
        for text in ("ulx3s-45f: synthesis", "ulx3s-45f: placing, iteration 1",
                     "ulx3s-45f: placing, iteration 12", "ulx3s-45f: routing, 3000 arcs",
                     "ulx3s-45f: routing, 4000 arcs", "ulx3s-45f: routing, 5000 arcs",
                     "ulx3s-85f: routing, 1000 arcs", "write: [==  ] 50.00%",
                     "write: [====] 100.00%", "ulx3s-85f: synthesis"):
            step(text)
    out, error = capsys.readouterr()
    assert out == ""
    assert error.splitlines() == [
        "ulx3s-45f: synthesis", "ulx3s-45f: placing, iteration 1", "ulx3s-45f: routing, 3000 arcs",
        "ulx3s-45f: routing, 5000 arcs",  # a minute later
        "ulx3s-85f: routing, 1000 arcs", "write: [==  ] 50.00%", "ulx3s-85f: synthesis"]


def test_estimate_by_steps():
    """Each step took 10 seconds so far; of the fifth of 10, nothing is known."""
    estimate = Estimate(total=10)
    assert estimate.share(0) is None and estimate.left(5) == ""
    for step in range(5):
        estimate.step(10 * step)
    assert estimate.share(40) == 0.4
    assert estimate.left(40) == "about 60 s left"
    assert estimate.left(47) == "about 50 s left"
    assert estimate.left(400) == "about 50 s left"  # five steps are still to come
    for step in range(5, 12):
        estimate.step(10 * step)
    assert estimate.share(110) == 1 and estimate.left(110) == "a few seconds left"


def test_nothing_is_said_of_the_first_step():
    estimate = Estimate(total=10)
    estimate.step(0)
    assert estimate.left(50) == "" and estimate.share(50) == 0


def test_estimate_by_shares():
    estimate = Estimate()
    estimate.step(30, 0.25)
    assert estimate.share(31) == 0.25 and estimate.left(40) == "about 80 s left"


@pytest.mark.parametrize("now, words", [
    (1, ""), (2, "about 2.8 h left"), (9000, "about 17 min left"), (9950, "about 50 s left"),
    (9993, "a few seconds left"), (10_001, "longer than usual")])
def test_estimate_by_seconds(now, words):
    estimate = Estimate(seconds=10_000)
    estimate.step(0)
    assert estimate.left(now) == words
    assert estimate.share(now) == min(now / 10_000, 1)


DRAW = """
import sys, time
from systolith.cli import progress
progress.QUIET = 0
with progress.progress(total=4) as step:
    for number in range(4):
        step(f"image {number + 1} of 4, [bold]")
        time.sleep(0.3)
"""


@pytest.mark.parametrize("term, drawn", [("xterm", True), ("dumb", False)])
def test_drawn_on_a_terminal(term, drawn):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", DRAW], env=environment, stdout=subprocess.PIPE,
                          stderr=slave, check=True, timeout=60)
    os.close(slave)
    said = b""
    while chunk := _read(master):
        said += chunk
    os.close(master)
    assert done.stdout == b"" and b"image 1 of 4, [bold]" in said
    assert (b"left" in said) == (b"image 4 of 4" in said) == drawn


def _read(file):
    try:
        return os.read(file, 10_000)
    except OSError:  # nobody writes any more
        return b""
