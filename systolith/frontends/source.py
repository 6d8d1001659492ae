"""Where a model comes from: a file, or bytes that are at hand."""

import os
from pathlib import Path

from systolith.graph.ir import ModelError

__all__ = ["read_source"]


def read_source(source, read):
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
