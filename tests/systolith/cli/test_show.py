"""Tables on terminals of any width."""

import os
import subprocess
import sys

import pytest
from rich.console import Console

from systolith.cli import show
from systolith.cli.show import Table


def lines(view, width, capsys):
    Console(width=width, markup=False, highlight=False).print(view, crop=False)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def example(**options):
    view = Table("a title", "operator", "runs on", "MACs", "cycles", "band", text=("runs on",),
                 drop=("band", "MACs"), **options)
    view.add_row("14 FULLY_CONNECTED", "accelerator", "12,501,632", "910,396", "3")
    view.add_section()
    view.add_row("from go to done", "", "12,501,632", "1")
    return view


def test_all_columns_where_there_is_room(capsys):
    assert lines(example(), 80, capsys) == [
        "a title",
        "operator            runs on            MACs   cycles  band",
        "─" * 58,
        "14 FULLY_CONNECTED  accelerator  12,501,632  910,396     3",
        "",
        "from go to done                  12,501,632        1",
        ""]


@pytest.mark.parametrize("width, dropped", [
    (58, []), (57, ["band"]), (52, ["band"]), (51, ["band", "MACs"]), (20, ["band", "MACs"])])
def test_columns_that_are_missed_least_go_first(width, dropped, capsys):
    view = example()
    assert [name for name in view.columns if name not in view.kept(width)] == sorted(
        dropped, key=view.columns.index)
    text = " ".join(lines(view, width, capsys))
    for name, figure in (("band", " 3"), ("MACs", "12,501,632")):
        assert (figure in text) == (name not in dropped)
    assert "910,396" in text  # whole, however narrow it is
    assert ("not shown:" in text) == bool(dropped)


@pytest.mark.parametrize("json, how", [
    (False, "not shown: MACs, band; a wider terminal shows them"),
    (True, "not shown: MACs, band; a wider terminal or --json shows them")])
def test_says_what_is_left_out(json, how, capsys):
    assert how in " ".join(" ".join(lines(example(json=json), 40, capsys)).split())


def test_folds_long_texts_before_anything_is_left_out(capsys):
    view = Table("", "board", "cycles", "too small by", fold=("too small by",), drop=("cycles",))
    view.add_row("hx8k", "910,396", "106,688 activation bytes, 256 buffer bytes, 12 channels")
    assert lines(view, 45, capsys) == [
        "board   cycles  too small by", "─" * 45,
        "hx8k   910,396  106,688 activation bytes, 256",
        "                buffer bytes, 12 channels", ""]


def test_names_of_files_are_no_markup(capsys, monkeypatch):
    console = Console(width=80, highlight=False, markup=False, emoji=False)
    monkeypatch.setattr(show, "console", console)
    view = Table("[bold]x[/bold]", ":smile:")
    view.add_row("[red]1")
    view.print()
    assert capsys.readouterr().out.split() == ["[bold]x[/bold]", ":smile:", "─" * 7, "[red]1"]


PRINT = """
from systolith.cli.show import Table, console
view = Table("", "name", "figure", "other", drop=("other",))
view.add_row("x" * 30, "1,234,567", "9" * 60)
view.print()
console.print("word " * 30 + "end", style="red")
"""


@pytest.mark.parametrize("columns, shown", [("80", False), ("120", True), ("", True), ("0", True)])
def test_obeys_columns(columns, shown):
    """Where there is no terminal and no COLUMNS, nothing is left out or folded."""
    environment = {**os.environ, "COLUMNS": columns}
    done = subprocess.run([sys.executable, "-c", PRINT], env=environment, capture_output=True,
                          text=True, check=True)
    assert ("9" * 60 in done.stdout) == shown and ("not shown: other" in done.stdout) != shown
    assert ("word " * 30 in done.stdout) == (columns in {"", "0"})


@pytest.mark.parametrize("name, coloured", [("NO_COLOR", False), ("UNUSED", True)])
def test_obeys_no_color(name, coloured):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {name: "1", "TERM": "xterm-256color", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", PRINT], env=environment, stdout=slave, check=True)
    os.close(slave)
    assert ("\x1b[31m" in os.read(master, 10_000).decode()) == coloured
    os.close(master)
