"""One word, one meaning: pages, help texts and public names use the words of docs/glossary.md.

CHANGELOG.md is not among the pages, as it says what was called otherwise before.
"""

import importlib
import inspect
import re
from dataclasses import dataclass, fields, is_dataclass

import pytest
from typer.main import get_command

from tests.support.paths import ROOT
from tests.test_structure import MODULES, named


@dataclass(frozen=True, kw_only=True)
class Banned:
    """What not to write in ``text`` and in a ``name``, by regular expressions, and what instead.

    Names are matched as their words with spaces between them: :func:`spaced`.
    """

    text: str | None = None
    name: str | None = None
    instead: str


def both(pattern, instead):
    return Banned(text=pattern, name=pattern, instead=instead)


def text(pattern, instead):
    return Banned(text=pattern, instead=instead)


def name(pattern, instead):
    return Banned(name=pattern, instead=instead)


BANNED = [
    both(r"\bpictures?\b", "image"),
    both(r"\bpatience\b", "timeout: stall_timeout, layer_timeout, or that of a link"),
    both(r"\bwalk(s|er|ers|ed|ing)?\b", "loop nest; address generator for what steps through it"),
    both(r"\btwins?\b", "second copy, ping-pong, double-buffered; of a primitive, generic model"),
    both(r"\bspares?\b", "skid buffer, register slice"),
    both(r"\bmovers?\b", "DMA; reader or writer"),
    both(r"\bunified\b", "single_memory, single memory"),
    both(r"\bhalt(s|ed|ing)?\b", "stall"),
    both(r"\bbears?\b", "Fmax; meets timing at"),
    both(r"\bturned\b", "transposed, of images; swapped, of operands"),
    text(r"\bways? (in which|that) (a|the|each) layers?\b|\bfastest way\b|\bways? a layer\b",
         "mapping"),
    name(r"\bways?\b", "mapping"),
    text(r"\bhost/[a-z]|(?<![.\w])host\.[a-z_]", "systolith, and the subpackage"),
    text(r"\bwords (a|per) second\b|\bwords through\b|\bDS-CNN, words\b|\| words \|",
         "keywords, of what DS-CNN recognises"),
    text(r"`serial`|\bserial=", "shared_agu"),
    name(r"^serial$", "shared_agu"),
    text(r"`buffered`|\bbuffered=|(?<!double-)\bbuffered program", "double_buffered"),
    name(r"^buffered$", "double_buffered"),
    text(r"`lanes`|--lanes\b|\blanes=|\blanes of requantisation\b", "drain_lanes, drain lanes"),
    name(r"^lanes$", "drain_lanes, pixel_lanes or vector_bytes; of anything else, count"),
    text(r"`apart`|\bapart=", "spread_enables"),
    name(r"^apart$", "spread_enables"),
    text(r"--(pictures|images)\b", "--count"),
    text(r"`longest`", "layer_timeout"),
    text(r"\bmodel of cycles\b", "cycle model"),
    name(r"^later$", "pipeline"),
    name(r"(?-i:^Place$)|^places$|\bstorage\b", "region, Region, TensorPlacement"),
    name(r"\bstack(s|ed)\b", "can_batch, batched"),
    name(r"(?-i:^Ends?$)|^(ends|edges)$", "TensorInfo, io_tensors; segment_ends of segments"),
    name(r"^checks$", "CONVERTERS"),
    name(r"^module ported$", "memories"),
]

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]

#: What may stand on a page all the same: names in the hardware. They are part of the netlists that
#: clocks are on record for, and change with the next change of the hardware.
SIGNALS = {
    "registers.md": [r"`store\.walk\.[^`]*`", r"`turned`", r"`conv\.pictures`",
                     r"`conv\.picture_words`"],
    "clocks.md": [r"accelerator\.walks\.\w+"],
}


def offences(text, kind):
    """Each banned word in ``text``, with the word to use instead."""
    found = []
    for word in BANNED:
        pattern = getattr(word, kind)
        if pattern is not None:
            found += [f"{match[0]!r}: write {word.instead}"
                      for match in re.finditer(pattern, text, re.IGNORECASE)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages(page):
    found = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        for pattern in SIGNALS.get(page.name, ()):
            line = re.sub(pattern, "", line)
        found += [f"{page.name}:{number}: {each}" for each in offences(line, "text")]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page, pattern", [(page, pattern) for page, patterns in SIGNALS.items()
                                           for pattern in patterns])
def test_exceptions_are_needed(page, pattern):
    assert re.search(pattern, (ROOT / "docs" / page).read_text()), "take it out of SIGNALS"


def helps(command, path):
    """(where, text) of all that ``--help`` says of ``command`` and those below it."""
    yield path, command.help or ""
    for param in command.params:
        options = " ".join(param.opts)
        yield f"{path} {options}", " ".join(map(str, (
            options, param.metavar or "", getattr(param, "help", None) or "")))
    for child in getattr(command, "commands", {}).values():
        yield from helps(child, f"{path} {child.name}")


def test_help():
    from systolith.cli import app

    found = [f"{where}: {each}" for where, text in helps(get_command(app), "systolith")
             for each in offences(" ".join(text.split()), "text")]
    assert not found, "\n".join(found)


def spaced(name):
    """Words of a name: "short acc" of ``short_acc``, "Conv Plan" of ``ConvPlan``."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name))


def public_names(module):
    """(where, name) of what others may name: the module, what it promises, its dataclasses, and
    attributes, methods and parameters of these."""
    yield module.__name__, f"module {module.__name__.rpartition('.')[2]}"
    promised = set(getattr(module, "__all__", ()))
    for name in sorted(promised | {name for name, member in vars(module).items()
                                   if is_dataclass(member) and not name.startswith("_")}):
        member = getattr(module, name)
        here = getattr(member, "__module__", module.__name__) == module.__name__
        if here or name in promised:
            yield f"{module.__name__}.{name}", name
        if here:
            yield from members(f"{module.__name__}.{name}", member)


def members(where, member):
    if inspect.isclass(member):
        if is_dataclass(member):
            yield from ((f"{where}.{field.name}", field.name) for field in fields(member)
                        if not field.name.startswith("_"))
        for name, each in vars(member).items():
            if isinstance(each, (staticmethod, classmethod)):
                each = each.__func__
            if name == "__init__" and not is_dataclass(member):
                yield from parameters(where, each)
            elif not name.startswith("_") and (inspect.isfunction(each)
                                               or isinstance(each, property)):
                yield f"{where}.{name}", name
                if inspect.isfunction(each):
                    yield from parameters(f"{where}.{name}", each)
    elif inspect.isfunction(member):
        yield from parameters(where, member)


def parameters(where, function):
    for name in inspect.signature(function).parameters:
        yield f"{where}({name})", name


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__main__.py"],
                         ids=named)
def test_names(path):
    module = importlib.import_module(named(path))
    found = [f"{where}: {each}" for where, name in public_names(module)
             for each in offences(spaced(name), "name")]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind, text, word", [
    ("text", "Two pictures.", "pictures"),
    ("text", "It bears 90 MHz.", "bears"),
    ("text", "see `host/link`", "host/l"),
    ("text", "`--lanes 2`", "--lanes"),
    ("text", "| images | words |", "| words |"),
    ("name", "LineWalker", "Walker"),
    ("name", "hello_patience", "patience"),
    ("name", "lanes", "lanes"),
    ("name", "End", "End"),
])
def test_what_is_banned_is_found(kind, text, word):
    text = spaced(text) if kind == "name" else text
    assert [each.partition(": ")[0] for each in offences(text, kind)] == [repr(word)]


@pytest.mark.parametrize("kind, text", [
    ("text", "in the same way, on its way"), ("text", "the host. It"), ("text", "a serial port"),
    ("text", "--drain-lanes 2, --pixel-lanes 2"), ("text", "| words of 32 bits |"),
    ("name", "drain_lanes"), ("name", "SerialLane"), ("name", "module serial"), ("name", "end"),
])
def test_what_is_not_banned_is_not(kind, text):
    assert not offences(spaced(text) if kind == "name" else text, kind)
