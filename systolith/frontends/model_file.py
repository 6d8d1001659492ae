"""Models of either format, by what is in the file."""

import os
from pathlib import Path

from systolith.frontends.source import Source
from systolith.graph.ir import Graph, ModelError

__all__ = ["format_of", "read_model"]


def read_model(source: Source) -> Graph:
    """The :class:`~systolith.graph.ir.Graph` of a .tflite or .onnx model, given by path or as
    bytes.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is neither, or cannot run; it names the
    file.
    """
    # Each format takes time to import, and one is enough.
    if format_of(source) == "tflite":
        from systolith.frontends.tflite import read_tflite

        return read_tflite(source)
    from systolith.frontends.onnx import read_onnx

    return read_onnx(source)


def format_of(source: Source) -> str:
    """``"tflite"`` or ``"onnx"``, by the first bytes.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is neither.
    """
    name, begin = "the model", b""
    if isinstance(source, (bytes, bytearray, memoryview)):
        begin = bytes(source[:8])
    else:
        name = str(Path(os.fspath(source)))
        try:
            with open(name, "rb") as file:
                begin = file.read(8)
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}") from error
    if begin[4:8] == b"TFL3":
        return "tflite"
    # Protobuf has no mark of its own; every writer puts the version, the first field, first.
    if begin[:1] == b"\x08":
        return "onnx"
    raise ModelError(f"{name} is neither a .tflite nor an .onnx model")
