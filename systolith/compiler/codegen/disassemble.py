"""Descriptors as text that a person reads, and back."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.lib import data

from rtl.accelerator import AcceleratorParams, Kind, descriptor_of, descriptor_words
from sim.packing import unpack
from systolith.compiler.codegen.program import Program, packed

__all__ = ["assemble", "disassemble", "text_of_program"]

#: Of a field: a number, fields by their names, or elements.
Value = int | dict[str, "Value"] | list["Value"]

TOKEN = re.compile(r"\s*(?:(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[{}\[\]=,]))")


def disassemble(params: AcceleratorParams, descriptors: np.ndarray,
                notes: Sequence[str] = ()) -> str:
    """Text of ``descriptors``, words of 32 bits for a build of ``params``: for each its number and
    kind, and a line for each field that is not 0.

    ``notes`` on each of them follow behind ``#``. :func:`assemble` is the inverse.
    """
    layout, words = descriptor_of(params), descriptor_words(params)
    lines = []
    for number, raw in enumerate(np.asarray(descriptors, "<u4").reshape(-1, words)):
        fields = _plain(layout, unpack(layout, raw.view(np.uint8)[None]), 0)
        assert isinstance(fields, dict)
        note = f"  # {notes[number]}" if number < len(notes) and notes[number] else ""
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
                name, _, value = code.partition("=")
                found[-1][_known(layout, name.strip())] = _parsed(value)
            else:
                found.append({"kind": _kind_number(code.split())})
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(f"line {number}: {error} in {line.strip()!r}") from error
    if not found:
        return np.zeros(0, np.uint32)
    return np.concatenate([packed(layout, fields, words) for fields in found])


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


def _kind_number(words: Sequence[str]) -> int:
    """The kind that the first line of a descriptor ends with: a name, or a number."""
    _, kind = words
    return int(kind) if kind.lstrip("-").isdigit() else int(Kind[kind])


def _known(layout: data.Layout, name: str) -> str:
    names = [known for known, _ in layout]
    if name not in names:
        raise ValueError(f"there is no field {name!r}, only {', '.join(names)}")
    return name


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


def _value(tokens: Iterable[re.Match[str]], token: re.Match[str] | None) -> Value:
    tokens = iter(tokens)
    if token is None or token["name"]:
        raise ValueError("a value is missing")
    if token["number"]:
        return int(token["number"])
    match token["mark"]:
        case "{":
            fields: dict[str, Value] = {}
            while (token := _next(tokens))["mark"] != "}":
                if token["mark"] == ",":
                    continue
                if not token["name"] or _next(tokens)["mark"] != "=":
                    raise ValueError("a field must be name=value")
                fields[token["name"]] = _value(tokens, _next(tokens))
            return fields
        case "[":
            elements: list[Value] = []
            while (token := _next(tokens))["mark"] != "]":
                if token["mark"] != ",":
                    elements.append(_value(tokens, token))
            return elements
    raise ValueError(f"{token['mark']!r} is no value")


def _next(tokens: Iterable[re.Match[str]]) -> re.Match[str]:
    found = next(iter(tokens), None)
    if found is None:
        raise ValueError("a bracket is not closed")
    return found
