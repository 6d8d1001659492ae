"""Where a model comes from: a file, or bytes that are at hand."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from systolith.graph.ir import ModelError

__all__ = ["ConverterError", "Source", "bytes_of", "converting", "read_source"]

#: A model: the path of a file, or its bytes.
Source = str | os.PathLike[str] | bytes | bytearray | memoryview

Result = TypeVar("Result")


class ConverterError(Exception):
    """A converter of a record that fails at what it should refuse: its own mistake, not damage."""


def bytes_of(source: Source) -> bytes:
    """Those of a model, given by path or as bytes; raises :exc:`OSError` for a file that cannot be
    read."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    return Path(os.fspath(source)).read_bytes()


def read_source(source: Source, read: Callable[[bytes], Result]) -> Result:
    """What ``read`` makes of the bytes of a model, given by path or as bytes.

    Raises :exc:`~systolith.graph.ir.ModelError` of ``read``, or for a file that cannot be read; it
    names the file.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read(bytes(source))
    path = Path(os.fspath(source))
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


@contextmanager
def converting(where: str, refusal: type[Exception]) -> Generator[None, None, None]:
    """Raise :exc:`ConverterError`, which names the operator ``where`` it was, for whatever a
    converter raises beside a ``refusal`` and :exc:`~systolith.graph.ir.ModelError`."""
    try:
        yield
    except (refusal, ModelError, MemoryError):
        raise
    except Exception as error:
        raise ConverterError(f"{where}: the converter of its record fails at what it should read "
                             f"or refuse: {type(error).__name__}: {error}") from error
