"""Models of either format, by what is in the file."""

import os
from pathlib import Path

from systolith.frontends.foreign import foreign
from systolith.frontends.source import Source, bytes_of
from systolith.frontends.unquantised import unquantised
from systolith.graph.ir import Graph, ModelError

__all__ = ["format_of", "read_model"]


def read_model(source: Source, *, partition: bool = False) -> Graph:
    """The :class:`~systolith.graph.ir.Graph` of a .tflite or .onnx model, given by path or as
    bytes.

    With ``partition``, operators that are not supported are left to its runtime; of an .onnx model,
    what comes behind the quantised part.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is neither, not quantised, or cannot run;
    it names the file, and says what to do.
    """
    form, name = format_of(source), _name(source)
    if told := unquantised(form, bytes_of(source), name):
        raise ModelError(f"{name} {told}")
    # Each format takes time to import, and one is enough.
    if form == "tflite":
        from systolith.frontends.tflite import read_tflite

        return read_tflite(source, partition=partition)
    from systolith.frontends.onnx import read_onnx

    return read_onnx(source, partition=partition)


def format_of(source: Source) -> str:
    """``"tflite"`` or ``"onnx"``, by the first bytes.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is neither, and says what it is.
    """
    name, told = _name(source), None
    if isinstance(source, (bytes, bytearray, memoryview)):
        begin = bytes(source[:8])
    else:
        path = Path(os.fspath(source))
        try:
            told = foreign(path)
            begin = b"" if told else _begin(path)
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}") from error
    if begin[4:8] == b"TFL3":
        return "tflite"
    # Protobuf has no mark of its own; every writer puts the version, the first field, first.
    if begin[:1] == b"\x08":
        return "onnx"
    raise ModelError(f"{name} {told or 'is neither a .tflite nor an .onnx model'}")


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _name(source: Source) -> str:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the model"
    return str(Path(os.fspath(source)))
