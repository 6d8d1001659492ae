"""Weights of an .onnx file that lie in files beside it."""

import os
from pathlib import Path

from onnx import ModelProto, TensorProto

from systolith.frontends.source import Source
from systolith.graph.ir import ModelError

__all__ = ["model_bytes"]

#: Bytes of all such weights at the most: past that no format holds them in one piece.
MOST = 1 << 31


def model_bytes(source: Source, data: bytes) -> bytes:
    """``data``, read from ``source``, with the constants that lie in other files.

    Those files lie beside that of the model, or in folders there. Raises
    :exc:`~systolith.graph.ir.ModelError` for any other place, and for parts that files do not have.
    """
    try:
        model = ModelProto.FromString(data)
    except Exception:  # whatever protobuf raises; who reads it says so
        return data
    outside = [tensor for tensor in model.graph.initializer
               if tensor.data_location == TensorProto.EXTERNAL]
    if not outside or isinstance(source, (bytes, bytearray, memoryview)):
        return data
    folder, total = Path(os.fspath(source)).resolve().parent, 0
    for tensor in outside:
        raw = _read(folder, tensor)
        total += len(raw)
        if total > MOST:
            raise ModelError(f"the constants in other files take more than {MOST} bytes")
        tensor.raw_data = raw
        tensor.data_location = TensorProto.DEFAULT
        tensor.ClearField("external_data")
    return model.SerializeToString()


def _read(folder: Path, tensor: TensorProto) -> bytes:
    """The bytes of a constant in a file of a ``folder``."""
    told = {each.key: each.value for each in tensor.external_data}
    location = told.get("location", "")
    path = folder / location
    where = f"the constant {ascii(tensor.name)} lies in {ascii(location)}"
    if not location or Path(location).is_absolute() or ".." in Path(location).parts or (
            not path.resolve().is_relative_to(folder)):
        raise ModelError(f"{where}, which is not beside the model: put it there, or save the model "
                         "as one file")
    try:
        offset, length = (int(told[name]) if name in told else None
                          for name in ("offset", "length"))
        size = path.stat().st_size
        first = offset or 0
        count = size - first if length is None else length
        if first < 0 or count < 0 or first + count > size:
            raise ModelError(f"{where}, at {first} to {first + count}, but that has {size} bytes: "
                             "it belongs to another model, or is cut short")
        with path.open("rb") as file:
            file.seek(first)
            return file.read(count)
    except ValueError as error:
        raise ModelError(f"{where}, at no number: {error}") from error
    except OSError as error:
        raise ModelError(f"{where}, beside the model: {error.strerror}") from error
