"""Descriptors as text that a person reads, and back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.lib import data

from rtl.accelerator import AcceleratorParams, Kind, descriptor_of, descriptor_words
from rtl.accelerator.control.descriptor import KIND_BITS
from sim.packing import unpack
from systolith.compiler.codegen.program import Program, complete, packed

__all__ = ["assemble", "disassemble", "text_of_program"]

#: The deepest that values are within each other; past that nothing was disassembled.
DEEPEST = 8

#: Of a field: a number, fields by their names, or elements.
Value = int | dict[str, "Value"] | list["Value"]

TOKEN = re.compile(r"(?a)\s*(?:(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[{}\[\]=,]))")


def disassemble(params: AcceleratorParams, descriptors: np.ndarray,
                notes: Sequence[str] = ()) -> str:
    """Text of ``descriptors``, words of 32 bits for a build of ``params``: for each its number and
    kind, and a line for each field that is not 0.

    ``notes`` on each of them follow behind ``#``. :func:`assemble` is the inverse.

    Raises :exc:`ValueError` for words that are no such descriptors: too few, or with bits that no
    field is for.
    """
    layout, words = descriptor_of(params), descriptor_words(params)
    descriptors = np.asarray(descriptors, "<u4").ravel()
    if len(descriptors) % words:
        raise ValueError(f"{len(descriptors)} words are no descriptors of {words} each")
    lines = []
    for number, raw in enumerate(descriptors.reshape(-1, words)):
        if np.unpackbits(raw.view(np.uint8), bitorder="little")[layout.size:].any():
            raise ValueError(f"descriptor {number} has bits that no field of this build is for")
        fields = _plain(layout, unpack(layout, raw.view(np.uint8)[None]), 0)
        assert isinstance(fields, dict)
        note = " ".join(notes[number].split()) if number < len(notes) else ""
        note = f"  # {note}" if note else ""
        lines.append(f"{number} {_kind_text(fields.pop('kind'))}{note}")
        lines += [f"  {name} = {_text(value)}" for name, value in fields.items() if value]
    return "\n".join(lines)


def assemble(params: AcceleratorParams, text: str) -> np.ndarray:
    """Words of the descriptors that ``text`` is the :func:`disassemble` of.

    Raises :exc:`ValueError` for what is no such text, or does not fit the build's fields; it names
    the line.
    """
    layout, words = descriptor_of(params), descriptor_words(params)
    found: list[dict[str, Value]] = []
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("#")[0].rstrip()
        if not code:
            continue
        try:
            if code[0].isspace():
                _read_field(layout, found, code)
            else:
                found.append({"kind": _read_kind(code.split(), len(found))})
        except ValueError as error:
            raise ValueError(f"line {number}: {error} in {line.strip()!r}") from error
    if not found:
        return np.zeros(0, np.uint32)
    return np.concatenate([packed(layout, fields, words) for fields in found])


def _read_field(layout: data.Layout, found: Sequence[dict[str, Value]], code: str) -> None:
    """Take the field of a line into the last of the descriptors ``found``."""
    name, _, text = code.partition("=")
    name = name.strip()
    if not found:
        raise ValueError("a field comes before the first descriptor")
    if name in found[-1]:
        raise ValueError(f"{name} is there already")
    names = [known for known, _ in layout]
    if name not in names:
        raise ValueError(f"there is no field {name!r}, only {', '.join(names)}")
    value = _parsed(text)
    complete(layout[name].shape, value, name, all_known=True)
    found[-1][name] = value


def _read_kind(words: Sequence[str], count: int) -> int:
    """The kind of a descriptor, a name or a number, behind that of the descriptor."""
    if len(words) != 2 or words[0] != str(count):
        raise ValueError(f"a descriptor must begin with its number, {count}, and its kind")
    kind = words[1]
    if kind.isdecimal() and int(kind) < 1 << KIND_BITS:
        return int(kind)
    if kind not in Kind.__members__:
        raise ValueError(f"the kind {kind!r} is not one of {', '.join(Kind.__members__)}")
    return int(Kind[kind])


def text_of_program(program: Program) -> str:
    """All descriptors of a program, with the operators that they are for."""
    notes: list[str] = []
    ends = {step.first + step.layers for step in program.segments}
    for number, layer in enumerate(program.layers, 1):
        notes.append(f"{layer.operator}, {layer.macs:,} MACs" if layer.macs else
                     str(layer.operator))
        if number in ends:
            notes.append("")
    return disassemble(program.params, program.descriptors, notes)


def _plain(layout: data.Layout, values: Mapping[str, Any] | np.ndarray, at: int) -> Value:
    """Numbers of one payload as plain values, without what is 0."""
    if isinstance(values, Mapping):
        if isinstance(layout, data.ArrayLayout):
            length = layout.length
            elements = [_plain_element(values, at, index) for index in range(length)]
            while elements and not elements[-1]:
                elements.pop()
            return elements
        found = {name: _plain(_layout(layout, name), value, at) for name, value in values.items()}
        return {name: value for name, value in found.items() if value or name == "kind"}
    numbers = np.asarray(values)[at]
    if numbers.ndim:
        plain = numbers.tolist()
        while plain and not plain[-1]:
            plain.pop()
        return plain
    return int(numbers)


def _plain_element(values: Mapping[str, Any], at: int, index: int) -> Value:
    """Element ``index`` of an array of structures, whose fields are arrays of all elements."""
    found: dict[str, Value] = {}
    for name, value in values.items():
        number = (_plain_element(value, at, index) if isinstance(value, Mapping)
                  else np.asarray(value)[at, index].tolist())
        if number:
            found[name] = number
    return found


def _layout(layout: data.Layout, name: str) -> data.Layout:
    shape = layout[name].shape
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        return data.Layout.cast(shape)
    return shape


def _text(value: Value) -> str:
    match value:
        case dict():
            inner = ", ".join(f"{name}={_text(each)}" for name, each in value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{', '.join(map(_text, value))}]"
    return str(value)


def _kind_text(kind: Value) -> str:
    return next((each.name for each in Kind if each == kind), str(kind))


def _parsed(text: str) -> Value:
    """A value from its text."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if not found:
            raise ValueError(f"{text[at:].strip()!r} is no value")
        tokens.append(found)
        at = found.end()
    reader = iter(tokens)
    value = _value(reader, next(reader, None))
    if next(reader, None) is not None:
        raise ValueError("a value is followed by more")
    return value


def _value(tokens: Iterator[re.Match[str]], token: re.Match[str] | None, depth: int = 0) -> Value:
    if token is None or token["name"]:
        raise ValueError("a value is missing")
    if token["number"]:
        return int(token["number"])
    if depth == DEEPEST:
        raise ValueError(f"there are more than {DEEPEST} brackets within each other")
    match token["mark"]:
        case "{":
            fields: dict[str, Value] = {}
            for name in _separated(tokens, "}"):
                if not name["name"] or _next(tokens)["mark"] != "=":
                    raise ValueError("a field must be name=value")
                if name["name"] in fields:
                    raise ValueError(f"{name['name']} is there already")
                fields[name["name"]] = _value(tokens, _next(tokens), depth + 1)
            return fields
        case "[":
            return [_value(tokens, each, depth + 1) for each in _separated(tokens, "]")]
    raise ValueError(f"{token['mark']!r} is no value")


def _separated(tokens: Iterator[re.Match[str]], end: str) -> Iterator[re.Match[str]]:
    """The first token of each part, up to the mark ``end``; whoever takes it takes the rest of the
    part too, as a comma must follow."""
    token = _next(tokens)
    while token["mark"] != end:
        yield token
        token = _next(tokens)
        if token["mark"] == ",":
            token = _next(tokens)
        elif token["mark"] != end:
            raise ValueError(f"a comma or {end!r} is missing")


def _next(tokens: Iterator[re.Match[str]]) -> re.Match[str]:
    found = next(tokens, None)
    if found is None:
        raise ValueError("a bracket is not closed")
    return found
