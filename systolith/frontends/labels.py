"""Names of a network's classes, where the file of the model has them.

A .tflite file may have associated files, in a ZIP archive behind the flatbuffer: labels are lines
of a text. An .onnx file may have them in its ``metadata_props``, where every tool has its own way.
"""

import ast
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from systolith.frontends.model_file import format_of
from systolith.frontends.source import Source, read_source

__all__ = ["read_labels"]

#: Names of entries of ``metadata_props`` that are labels.
KEYS = {"names", "labels", "classes", "class_names", "classnames", "label_names", "id2label"}
#: Bytes of a text, and letters of a label, past which it is none.
MOST_BYTES, LONGEST = 1 << 20, 100


def read_labels(source: Source, classes: int) -> tuple[str, ...] | None:
    """As many labels as there are ``classes``, of a model given by path or as bytes; None if it has
    no such metadata, or others."""
    candidates = {"tflite": _of_tflite, "onnx": _of_onnx}[format_of(source)]
    for labels in read_source(source, lambda data: list(candidates(data))):
        if len(labels) == classes:
            return tuple(map(_printable, labels))
    return None


def _of_tflite(data: bytes) -> Iterator[Sequence[Any]]:
    if not zipfile.is_zipfile(BytesIO(data)):
        return
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            texts = [entry for entry in archive.infolist()
                     if entry.filename.endswith(".txt") and entry.file_size <= MOST_BYTES]
            # There may be vocabularies as well.
            for entry in sorted(texts, key=lambda entry: "label" not in entry.filename.lower()):
                yield _lines(archive.read(entry).decode("utf-8", "replace"))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError, ValueError,
            zlib.error):
        return  # damaged, encrypted, or of a method that is not known


def _of_onnx(data: bytes) -> Iterator[Sequence[Any]]:
    from onnx import ModelProto

    for entry in ModelProto.FromString(data).metadata_props:
        if entry.key.lower() in KEYS and len(entry.value) <= MOST_BYTES:
            yield _listed(entry.value)


def _listed(text: str) -> Sequence[Any]:
    """Labels in a text: JSON, a list or a dict of Python, lines, or words with commas."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(value, dict):
            return _by_index(value)
        if isinstance(value, (list, tuple)):
            return value
    return _lines(text) if "\n" in text.strip() else [each.strip() for each in text.split(",")]


def _by_index(names: Mapping[Any, Any]) -> Sequence[Any]:
    """The names of a dict by their index, which may be the key, as a text too, or the value."""
    if all(isinstance(value, int) for value in names.values()):
        names = {index: name for name, index in names.items()}
    try:
        names = {int(index): name for index, name in names.items()}
    except (TypeError, ValueError):
        return []
    return [names[index] for index in sorted(names)] if set(names) == set(range(len(names))) else []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _printable(label: Any) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   for letter in str(label)[:LONGEST])
