"""Constants that lie behind the flatbuffer of a .tflite file, which reaches 2 GB at the most."""

import flatbuffers
import numpy as np
import tflite
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.graph.ir import ModelError

__all__ = ["inlined"]

#: Offsets of buffers that lie where buffers do. Ref: schema.fbs of TensorFlow Lite, table Buffer
INSIDE = {0, 1}


def inlined(data: bytes) -> bytes:
    """``data``, a .tflite file, with all constants inside its flatbuffer: itself, if they are.

    Raises :exc:`~systolith.graph.ir.ModelError` for constants that the file does not have.
    """
    model = tflite.Model.GetRootAs(data, 0)
    places = [(buffer.Offset(), buffer.Size()) for buffer in map(
        model.Buffers, range(model.BuffersLength()))]
    if {offset for offset, _ in places} <= INSIDE:
        return data
    for number, (offset, size) in enumerate(places):
        if offset not in INSIDE and offset + size > len(data):
            raise ModelError(f"buffer {number} of the model lies at {offset} to {offset + size}, "
                             f"but the file has {len(data)} bytes: it is cut short")
    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for buffer, (offset, size) in zip(whole.buffers, places, strict=True):
        if offset not in INSIDE:
            buffer.data = np.frombuffer(data, np.uint8, size, offset)
        buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(data))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())
