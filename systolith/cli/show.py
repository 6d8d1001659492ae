"""The terminal, and the tables that all commands show on it."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence

import rich.table
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

__all__ = ["Table", "console", "made_with"]

#: Columns where there is no terminal: more than any table takes.
WIDE = 1000
#: Characters between two columns of a table, those that a text keeps before any column is left
#: out, and those that it keeps, however narrow the terminal is.
GAP, FOLDED, LEAST = 2, 28, 8


def _width() -> int | None:
    """Columns by the environment; None where the terminal is to be asked."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return None if sys.stdout.isatty() else WIDE


#: Where everything goes that a command has to say. Rich obeys ``NO_COLOR``, and nothing in a text
#: is markup: it may be a name of somebody's file.
console = Console(width=_width(), highlight=False, markup=False, emoji=False)


class Table:
    """Rows under named columns. Where they are too wide for the terminal, whole columns are left
    out, and a line says which; figures are never cut.

    Parameters
    ----------
    title : :class:`str`
    *columns : :class:`str`
        The first one is text, the others are figures.
    text : tuple of :class:`str`
        Columns that are text as well: they are folded if there is no room even for those that
        cannot be left out.
    fold : tuple of :class:`str`
        Columns of long texts, which are folded before any other is left out.
    drop : tuple of :class:`str`
        Columns that can be left out, those that are missed least first.
    json : :class:`bool`
        Whether the command has an option ``--json``, which tells everything.
    """

    def __init__(self, title: str, *columns: str, text: Sequence[str] = (),
                 fold: Sequence[str] = (), drop: Sequence[str] = (), json: bool = False) -> None:
        self.title, self.columns, self.fold, self.drop = title, columns, fold, drop
        self.text = {columns[0], *text, *fold}
        self.more = "a wider terminal or --json" if json else "a wider terminal"
        self._rows: list[tuple[str, ...]] = []
        self._sections: set[int] = set()

    def add_row(self, *cells: str) -> None:
        """Add a row; cells that are left out at its end stay empty."""
        self._rows.append((*cells, *("",) * (len(self.columns) - len(cells))))

    def add_section(self) -> None:
        """Draw a line under the rows so far."""
        self._sections.add(len(self._rows))

    def kept(self, width: int) -> list[str]:
        """The columns that are shown on a terminal of that many characters."""
        kept = list(self.columns)
        for column in self.drop:
            if self._width(kept, dict.fromkeys(self.fold, FOLDED)) <= width:
                break
            kept.remove(column)
        return kept

    def _width(self, columns: Collection[str], most: Mapping[str, int]) -> int:
        """What ``columns`` take, where ``most`` has limits of some."""
        return GAP * (len(columns) - 1) + sum(
            min(most.get(column, WIDE), max(map(cell_len, (column, *self._cells(column)))))
            for column in columns)

    def _cells(self, column: str) -> list[str]:
        index = self.columns.index(column)
        return [row[index] for row in self._rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept, width = self.kept(options.max_width), options.max_width
        narrow = self._width(kept, dict.fromkeys(self.fold, FOLDED)) > width
        folded = self.text if narrow else self.fold
        view = rich.table.Table(box=box.SIMPLE, show_edge=False, pad_edge=False,
                                padding=(0, GAP - 1, 0, 0), header_style="bold")
        for column in kept:
            view.add_column(column, justify="left" if column in self.text else "right",
                            no_wrap=column not in folded, overflow="fold")
        for number, cells in enumerate(zip(*map(self._cells, kept), strict=True), 1):
            view.add_row(*cells, end_section=number in self._sections)
        if self.title:
            yield Text(self.title, style="bold")
        least = self._width(kept, dict.fromkeys(folded, LEAST))
        yield from console.render(view, options.update(width=max(width, least)))
        if dropped := [column for column in self.columns if column not in kept]:
            yield Text(f"not shown: {', '.join(dropped)}; {self.more} shows "
                       f"{'it' if len(dropped) == 1 else 'them'}", style="dim")
        yield Text("")

    def print(self) -> None:
        """Show it on the terminal."""
        console.print(self, crop=False)


def made_with(versions: Mapping[str, str]) -> str:
    """The line that names tools by their versions, as of
    :func:`boards.flow.tools.tool_versions`."""
    return "made with " + ", ".join(f"{name} {version}" for name, version in versions.items())
