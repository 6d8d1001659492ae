"""Models of some of the operators of another one."""

from collections.abc import Iterable, Mapping, Sequence

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

__all__ = ["cut"]


def cut(data: bytes, operators: Sequence[int], inputs: Sequence[int],
        outputs: Sequence[int], constants: Mapping[int, np.ndarray] | None = None) -> bytes:
    """The .tflite model of some ``operators`` of the main graph of a model, by index, from
    ``inputs`` to ``outputs``, indices of tensors.

    Operators, their options and versions, tensors and constants are those of the file; what other
    operators compute there may be among the ``constants``, by index of tensor. A variable tensor
    among inputs and outputs stays one: runtimes take and give its numbers all the same. Subgraphs
    that operators call stay as they are.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    kept = [graph.operators[index] for index in operators]
    used = sorted({int(index) for operator in kept
                   for index in (*_some(operator.inputs), *_some(operator.outputs),
                                 *_some(operator.intermediates)) if index >= 0}
                  | {*inputs, *outputs})
    place = {-1: -1, **{index: number for number, index in enumerate(used)}}
    for operator in kept:
        for name in ("inputs", "outputs", "intermediates"):
            indices = getattr(operator, name)
            if indices is not None:
                setattr(operator, name, _moved(indices, place))
    for index in {*used} & {*(constants or {})}:
        graph.tensors[index].buffer = len(model.buffers)
        model.buffers.append(_buffer((constants or {})[index]))
    graph.tensors = [graph.tensors[index] for index in used]
    graph.operators = kept
    graph.inputs, graph.outputs = _moved(inputs, place), _moved(outputs, place)
    for tensor in graph.tensors:
        tensor.shapeSignature = None  # sizes are what they are here
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    wanted = {tensor.buffer for each in model.subgraphs for tensor in each.tensors}
    for number, buffer in enumerate(model.buffers):
        if number not in wanted:
            buffer.data = None
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(value: np.ndarray) -> schema.BufferT:
    buffer = schema.BufferT()
    little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    buffer.data = np.frombuffer(little.tobytes(), np.uint8)
    return buffer


def _some(indices: Iterable[int] | None) -> Iterable[int]:
    return () if indices is None else indices


def _moved(indices: Iterable[int], place: dict[int, int]) -> np.ndarray:
    return np.array([place[int(index)] for index in indices], np.int32)
