"""What pages point to is there: links, files, names of Python, commands and their options."""

import importlib
import re
import shlex

import pytest
from typer.main import get_command

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
PACKAGES = "boards", "rtl", "sim", "systolith", "tests"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchor(heading):
    """What a link calls a heading, as GitHub has it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def spans(page):
    """Pieces of code within the text of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


@each_page
def test_links(page):
    links = re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text())
    for link in links:
        name, _, wanted = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if wanted:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert wanted in map(anchor, headings), link


@each_page
def test_files(page):
    """A path that begins with a folder of the project is one that there is."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"build"}
    for span in spans(page):
        if "/" in span and span.split("/")[0] in folders and re.fullmatch(r"[\w./-]+", span):
            assert (ROOT / span).exists(), span


def test_the_map_has_every_package():
    """Packages, and those within them down to the units of the accelerator and the compiler."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    for package in PACKAGES:
        assert f"    {package}/ " in text
        for init in ROOT.glob(f"{package}/**/__init__.py"):
            parts = init.parent.relative_to(ROOT).parts
            if len(parts) == 2 or len(parts) == 3 and parts[1] in {"accelerator", "compiler"}:
                assert re.search(rf"\b{parts[-1]}(/|\.py)[ )]", text), "/".join(parts)


@each_page
def test_python_names(page):
    for span in spans(page):
        name = re.fullmatch(r"([a-z]\w*(?:\.\w+)+)(\(.*)?", span)
        if name and name[1].split(".")[0] in PACKAGES and not name[1].endswith((".py", ".md")):
            assert found(name[1]), span


def found(name):
    """Whether there is a module, or a member of one, of that name."""
    module, *members = [name]
    while True:
        try:
            there = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, member = module.rpartition(".")
            if not module:
                return False
            members.insert(0, member)
    for member in members:
        if not hasattr(there, member):
            return False
        there = getattr(there, member)
    return True


def commands(page):
    """Command lines of ``systolith`` on a page: whole ones in blocks, and those in the text that
    have a command."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page.read_text(),
                                  re.MULTILINE | re.DOTALL))
    for line in [*blocks.splitlines(), *spans(page)]:
        for part in re.split(r"&&|&$", line):
            if re.match(r"\s*(\.venv/bin/)?systolith\s", part):
                yield shlex.split(part, comments=True)[1:]


@each_page
def test_commands(page):
    """Each command is one that there is, with options that it has."""
    from systolith.cli import app

    group = get_command(app)
    for words in commands(page):
        if words[0].startswith("-"):
            assert words[0] in {option for param in group.params for option in param.opts} | {
                "--help"}, words
            continue
        command = group.get_command(None, words[0])
        assert command, f"there is no systolith {words[0]}"
        options = {option for param in command.params for option in param.opts}
        for word in words[1:]:
            option = word.partition("=")[0]
            assert not option.startswith("-") or option in options, f"{' '.join(words)}: {option}"


def test_commands_with_values():
    """Those of the README are whole: they are read as if they were typed."""
    from systolith.cli import app

    group = get_command(app)
    for words in commands(ROOT / "README.md"):
        command = group.get_command(None, words[0])
        if command and len(words) > 1:
            command.make_context(words[0], words[1:])
