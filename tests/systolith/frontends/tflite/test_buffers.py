"""Constants behind the flatbuffer."""

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.buffers import inlined
from systolith.graph.ir import ModelError
from systolith.references.tflm import Reference
from systolith.zoo.digits import held_out, model_bytes


def outside(cut=0):
    """The digits network with its constants at the end of the file."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_bytes(), 0))
    contents = [None if buffer.data is None else bytes(bytearray(buffer.data))
                for buffer in model.buffers]

    def packed(first):
        at = first
        for buffer, content in zip(model.buffers, contents, strict=True):
            if content:
                buffer.data, buffer.offset, buffer.size = None, at, len(content)
                at += len(content)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    inside = packed(1 << 20)
    inside = packed(len(inside))
    data = inside + b"".join(content for content in contents if content)
    return data[:len(data) - cut]


def test_constants_behind_the_flatbuffer():
    data = outside()
    assert str(read_tflite(data)) == str(read_tflite(model_bytes()))
    x = held_out().images[:1]
    np.testing.assert_array_equal(Reference(data).run(x)[0], Reference(model_bytes()).run(x)[0])


def test_what_lies_inside_stays_as_it_is():
    data = model_bytes()
    assert inlined(data) is data


def test_a_file_that_is_cut_short():
    with pytest.raises(ModelError, match=r"^buffer \d+ of the model lies at \d+ to \d+, but the "
                                         r"file has \d+ bytes: it is cut short$"):
        read_tflite(outside(cut=1))
