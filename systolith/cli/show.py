"""What the commands share: the terminal, progress, tables."""

import re
import sys
import time
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["console", "made_with", "progress", "table"]

#: What a step counts by: numbers that stand alone, and bars that other programs draw.
COUNTS = re.compile(r"\[[=#> .-]*\]|\b\d+\b")
#: Seconds until another line is due of a step that counts, where there is no terminal.
PATIENCE = 60

#: Where there is no terminal to ask, tables are as wide as they need.
console = Console(width=None if sys.stdout.isatty() else 120)


@contextmanager
def progress(total=None):
    """Yields ``step(text)``, which says what begins, and counts towards ``total``.

    Drawn on the standard error if that is a terminal, otherwise lines there: one for each step, and
    of one that counts another each minute.
    """
    if not sys.stderr.isatty():
        yield _in_lines()
        return
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(),
                   TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task("", total=total)
        begun = False

        def step(text):
            nonlocal begun
            bar.update(task, description=text, advance=1 if begun and total else 0)
            begun = True

        yield step


def _in_lines():
    words, said = None, 0.0

    def step(text):
        nonlocal words, said
        now, kept = time.monotonic(), COUNTS.sub("", text)
        if kept != words or now - said >= PATIENCE:
            print(text, file=sys.stderr, flush=True)
            words, said = kept, now

    return step


def made_with(versions):
    """The line that names tools by their versions, as of
    :func:`boards.flow.tools.tool_versions`."""
    return "made with " + ", ".join(f"{name} {version}" for name, version in versions.items())


def table(title, *columns):
    """A table whose first column is text and whose others are figures."""
    result = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE,
                   pad_edge=False)
    for index, column in enumerate(columns):
        result.add_column(column, justify="right" if index else "left", no_wrap=True)
    return result
