"""From a :class:`systolith.graph.ir.Graph` to the bytes of a .tflite file: the inverse of the
reader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import record_of

__all__ = ["FileOptions", "write_tflite"]


@dataclass(frozen=True, kw_only=True)
class FileOptions(Attributes):
    """Options of an operator as a file has them, for operators that no graph can have: the name of
    their table, or NONE, and its fields."""

    table: str = "NONE"
    fields: Mapping[str, Any] = field(default_factory=dict)


def _options(graph: Graph, operator: Operator) -> tuple[int, str, Mapping[str, Any]]:
    """Version of an operator, and name and fields of its options."""
    if isinstance(operator.attributes, FileOptions):
        return 1, operator.attributes.table, operator.attributes.fields
    record = record_of(operator.kind)
    if record.writer is None:
        raise ValueError(f"operators of kind {operator.kind} cannot be written")
    return record.version, *record.writer(graph, operator)


def _code(enum: str, name: str) -> int:
    return getattr(getattr(schema, enum), name)


def _with(table: str, **fields: Any) -> Any:
    """An object of the schema with ``fields`` set."""
    result = getattr(schema, f"{table}T")()
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def write_tflite(graph: Graph) -> bytes:
    """The bytes of a .tflite file that holds ``graph``.

    Raises :exc:`ValueError` for an operator that the format or this writer does not know, and for
    a padding that is neither SAME nor none.
    """
    buffers, tensors = [_with("Buffer")], []
    for tensor in graph.tensors:
        quantization = _with("QuantizationParameters")
        if tensor.scales:
            quantization = _with(
                "QuantizationParameters", scale=np.array(tensor.scales, np.float32),
                zeroPoint=np.full(len(tensor.scales), tensor.zero_point + 128 * tensor.unsigned,
                                  np.int64),
                quantizedDimension=tensor.axis)
        number = 0
        if tensor.data is not None:
            number = len(buffers)
            little = tensor.data.astype(np.dtype(tensor.dtype).newbyteorder("<"))
            buffers.append(_with("Buffer", data=np.frombuffer(little.tobytes(), np.uint8)))
        tensors.append(_with("Tensor", shape=np.array(tensor.shape, np.int32), buffer=number,
                             type=_code("TensorType", "U" * tensor.unsigned
                                        + tensor.dtype.upper()),
                             name=tensor.name, quantization=quantization))
    options = [_options(graph, operator) for operator in graph.operators]
    versions = {operator.kind: version for operator, (version, *_) in zip(
        graph.operators, options, strict=True)}
    kinds = sorted(versions)
    codes = [_with("OperatorCode", builtinCode=_code("BuiltinOperator", kind),
                   deprecatedBuiltinCode=min(_code("BuiltinOperator", kind), 127),
                   version=versions[kind]) for kind in kinds]
    operators = []
    for operator, (_, name, fields) in zip(graph.operators, options, strict=True):
        operators.append(_with(
            "Operator", opcodeIndex=kinds.index(operator.kind),
            inputs=np.array(operator.inputs, np.int32),
            outputs=np.array(operator.outputs, np.int32),
            builtinOptionsType=_code("BuiltinOptions", name),
            builtinOptions=None if name == "NONE" else _with(name, **fields)))
    subgraph = _with("SubGraph", tensors=tensors, operators=operators, name="main",
                     inputs=np.array(graph.inputs, np.int32),
                     outputs=np.array(graph.outputs, np.int32))
    model = _with("Model", version=3, operatorCodes=codes, subgraphs=[subgraph], buffers=buffers)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
