"""What a command is at, how far it is, and how long that will still take."""

import os
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

__all__ = ["Estimate", "Step", "progress"]

#: What a step counts by: numbers that stand alone, and bars that other programs draw.
COUNTS = re.compile(r"\[[=#> .-]*\]|\b\d+\b")
#: Seconds until another line is due of a step that counts, where there is no terminal.
PATIENCE = 60
#: Seconds before anything is said of those that are left.
QUIET = 2


class Step(Protocol):
    """Says by ``text`` what begins; ``share`` is as of :meth:`Estimate.step`."""

    def __call__(self, text: str, share: float | None = None) -> None: ...


class Estimate:
    """How far some work is, and when it will be done.

    Parameters
    ----------
    total : :class:`int` or None
        Steps that there are.
    seconds : :class:`float` or None
        What all of it takes, as far as that is known: by a record, or reckoned.
    """

    def __init__(self, total: int | None = None, seconds: float | None = None) -> None:
        self.total, self.seconds = total, seconds
        self._steps, self._at = 0, 0.0
        self._done: float | None = None

    def step(self, now: float, share: float | None = None) -> None:
        """Another step begins ``now`` seconds after the first one; ``share`` of all is done, or as
        much as steps have begun before."""
        if share is not None:
            self._done = share
        elif self.total:
            self._done = min(self._steps / self.total, 1)
        self._steps += 1
        self._at = now

    def share(self, now: float) -> float | None:
        """The share of the work that is done; None if there is no telling."""
        return min(now / self.seconds, 1) if self.seconds else self._done

    def left(self, now: float) -> str:
        """How long it will still take, in words; empty if there is no telling."""
        if now < QUIET:
            return ""
        if self.seconds:
            left = self.seconds - now
            return _in_words(left) if left > 0 else "longer than usual"
        if not self._done:
            return ""
        whole = self._at / self._done
        # What begins after this step takes its time, however long this one lasts.
        after = 1 - self._done - (1 / self.total if self.total else 1)
        return _in_words(max(whole - now, whole * after, 0))


def _in_words(seconds: float) -> str:
    if seconds < 10:
        return "a few seconds left"
    if seconds < 100:
        return f"about {round(seconds, -1):.0f} s left"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"about {minutes} min left"
    return f"about {minutes / 60:.1f} h left"


class _Bar(BarColumn):
    def render(self, task: Task) -> ProgressBar:
        share = task.fields["estimate"].share(task.elapsed or 0)
        return ProgressBar(total=1, completed=share or 0, width=12, pulse=share is None,
                           animation_time=task.get_time())


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        now = task.elapsed or 0
        return Text(task.fields["estimate"].left(now) or f"{now:.0f} s", style="cyan")


@contextmanager
def progress(total: int | None = None,
             seconds: float | None = None) -> Generator[Step, None, None]:
    """Yields a :class:`Step`; arguments are those of :class:`Estimate`.

    Drawn on the standard error if that is a terminal, otherwise lines there: one for each step, and
    of one that counts another each minute.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _in_lines()
        return
    estimate = Estimate(total, seconds)
    text = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    bar = Progress(
        SpinnerColumn(), _Bar(), _Left(table_column=Column(min_width=18, no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=text),
        console=Console(stderr=True), transient=True, expand=True)
    with bar:
        task = bar.add_task("", total=None, estimate=estimate)
        began = time.monotonic()

        def step(text: str, share: float | None = None) -> None:
            estimate.step(time.monotonic() - began, share)
            bar.update(task, description=text)

        yield step


def _in_lines() -> Step:
    words, said = None, 0.0

    def step(text: str, share: float | None = None) -> None:
        nonlocal words, said
        now, kept = time.monotonic(), COUNTS.sub("", text)
        if kept != words or now - said >= PATIENCE:
            print(text, file=sys.stderr, flush=True)
            words, said = kept, now

    return step
