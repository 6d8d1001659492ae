"""Models of either format, by what is in the file."""

import os
from pathlib import Path

from systolith.graph.ir import ModelError

__all__ = ["format_of", "read_model", "reference_of"]


def read_model(source):
    """The :class:`~systolith.graph.ir.Graph` of a .tflite or .onnx model, given by path or as
    bytes.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is neither, or cannot run; it names the
    file.
    """
    return _of(source, _read_tflite, _read_onnx)


def reference_of(source):
    """The runtime whose bytes the model's graph has to give, loaded with it: a
    :class:`~systolith.references.tflm.Reference` or an
    :class:`~systolith.references.onnxruntime.OnnxReference`."""
    return _of(source, _tflite_reference, _onnx_reference)


def format_of(source):
    """``"tflite"`` or ``"onnx"``."""
    return _of(source, lambda _: "tflite", lambda _: "onnx")


def _read_tflite(source):
    from systolith.frontends.tflite import (
        read_tflite,  # which of the formats is needed costs time to import
    )

    return read_tflite(source)


def _read_onnx(source):
    from systolith.frontends.onnx import read_onnx

    return read_onnx(source)


def _tflite_reference(source):
    from systolith.references.tflm import Reference

    return Reference(source)


def _onnx_reference(source):
    from systolith.references.onnxruntime import OnnxReference

    return OnnxReference(source)


def _of(source, tflite, onnx):
    if isinstance(source, (bytes, bytearray, memoryview)):
        begin, name = bytes(source[:8]), "the model"
    else:
        name = Path(os.fspath(source))
        try:
            with open(name, "rb") as file:
                begin = file.read(8)
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}") from error
    if begin[4:8] == b"TFL3":
        return tflite(source)
    # Protobuf has no mark of its own; every writer puts the version, the first field, first.
    if begin[:1] == b"\x08":
        return onnx(source)
    raise ModelError(f"{name} is neither a .tflite nor an .onnx model")
