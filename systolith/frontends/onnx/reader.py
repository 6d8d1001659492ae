"""From the bytes of an .onnx file to a :class:`systolith.graph.ir.Graph`."""

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from systolith.frontends.onnx import fold, fusion, integer_ops, io_tensors, qdq
from systolith.frontends.onnx.builder import Builder
from systolith.frontends.onnx.external import model_bytes
from systolith.frontends.onnx.node import Converter, Node, damaged
from systolith.frontends.onnx.pairs import merge_pairs
from systolith.frontends.onnx.tail import joined, tail_of
from systolith.frontends.onnx.values import Activation, Constant, Refusal, Value, Values
from systolith.frontends.source import Source, converting, read_source
from systolith.graph.ir import Graph, ModelError
from systolith.graph.record import records
from systolith.graph.verify import verify

__all__ = ["read_onnx"]

#: Limits past which a file is taken for damaged rather than large.
MOST_NODES, MOST_ELEMENTS, MOST_AXES, MOST_OPERANDS, LONGEST_NAME = 16384, 1 << 26, 8, 1024, 1024

#: What damage raises where it is first seen.
DAMAGE = (DecodeError, struct.error, IndexError, KeyError, TypeError, ValueError, OverflowError,
          UnicodeError)

#: Versions of the operator sets that are read.
VERSIONS = {"": range(7, 29), "com.microsoft": range(1, 2)}


def _converters() -> dict[str, dict[str, Converter]]:
    """By domain, what reads each operator of a file. Those with scales among their operands may be
    of either."""
    onnx, qlinear = ({name: convert for record in records().values()
                      for name, convert in getattr(record, group).items()}
                     for group in ("onnx", "qlinear"))
    return {"": {**fold.CONVERTERS, **integer_ops.CONVERTERS, **qdq.REFUSED, **onnx, **qlinear},
            "com.microsoft": qlinear}


def read_onnx(source: Source, *, partition: bool = False) -> Graph:
    """The :class:`~systolith.graph.ir.Graph` of an .onnx file, given by path or as bytes.

    With ``partition``, what comes behind its quantised part is left to onnxruntime, as an operator
    of kind RUNTIME.

    Its tensors are int8 and images in it are (n, h, w, c), whatever the file has: see
    :mod:`systolith.frontends.onnx.io_tensors`. A first axis without a size counts as 1. Operators
    of the graph are numbered by themselves, as one of the file can become several, or none.

    Raises
    ------
    :exc:`~systolith.graph.ir.ModelError`
        If the file cannot be read, is damaged, or holds operators which are not supported: all of
        those are named, each with its index, name and the reason.
    """
    return read_source(source, lambda data: _checked(model_bytes(source, data), partition))


def _checked(data: bytes, partition: bool) -> Graph:
    try:
        model = ModelProto.FromString(data)
    except DAMAGE as error:
        raise ModelError("not an .onnx model: it is not of the format protobuf") from error
    if not model.ir_version or not model.opset_import or not model.HasField("graph"):
        raise ModelError("not an .onnx model: it lacks a version, operator sets or a graph")
    try:
        with np.errstate(all="ignore"):
            model = merge_pairs(model)
            try:
                return _Reader(model).graph
            except _Refused as refused:
                tail = tail_of(model, refused.reasons) if partition else None
                if tail is None:
                    raise
                head = _Reader(tail.head).graph
                return verify(joined(head, tail, [each.name for each in model.graph.output]))
    except DAMAGE as error:
        raise damaged(error) from error


class _Refused(ModelError):
    """Operators cannot run: ``reasons`` by their numbers."""

    def __init__(self, message: str, reasons: Mapping[int, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


class _Reader:
    """Walks the operators of a model in the order of the file, which is one they
    can run in."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.versions = {_domain(each.domain): each.version for each in model.opset_import}
        for domain, versions in VERSIONS.items():
            if self.versions.get(domain, versions[0]) not in versions:
                raise ModelError(f"the model asks for version {self.versions[domain]} of the "
                                 f"operators {domain!r}, but {versions[0]} to {versions[-1]} are "
                                 "possible: convert it (onnx.version_converter)")
        if not 0 < len(graph.node) <= MOST_NODES:
            raise ModelError(f"the model has {len(graph.node)} operators; 1 to {MOST_NODES} are "
                             "possible")
        if graph.sparse_initializer:
            raise ModelError("the model has sparse constants, which are not possible")
        if not all(isinstance(name, str) for name in _names(model)):
            raise damaged("a name is not text")
        self.builder = Builder()
        self.readers = Counter([name for node in graph.node for name in node.input]
                               + [output.name for output in graph.output])
        self.values: Values = {}
        for tensor in graph.initializer:
            self._define(tensor.name, Constant(_array(tensor)))
        io_tensors.enter(graph, self.builder, self.values)
        refused = {index: text for index, node in enumerate(graph.node)
                   if (text := self._read(index, node))}
        refusals = [*refused.values()]
        if refusals:
            count = f"{len(refusals)} of {len(graph.node)} operators cannot run:"
            known = ", ".join(sorted({kind for each in _converters().values() for kind in each}
                                     - set(qdq.REFUSED)))
            raise _Refused("\n  ".join([count, *refusals, f"these are supported: {known}"]),
                           refused)
        if unfinished := self._unquantised(graph):
            raise _Refused(next(iter(unfinished.values())), unfinished)
        outputs = io_tensors.leave(graph, self.builder, self.values)
        if not self.builder.operators:
            raise ModelError("the model has no operator that computes anything")
        self.graph = verify(self.builder.graph(self._inputs(graph), outputs), "the model")

    def _unquantised(self, graph: GraphProto) -> dict[int, str]:
        """Operators that give outputs which nothing has quantised."""
        made = {name: index for index, node in enumerate(graph.node) for name in node.output}
        return {made[each.name]: reason for each in graph.output if each.name in made
                and (reason := io_tensors.unfinished(each.name, self.values))}

    def _inputs(self, graph: GraphProto) -> list[int]:
        """Tensors of the inputs of a file's ``graph``, in its order."""
        tensors = []
        for name, value in io_tensors.inputs(graph, self.values):
            tensor = (value.tensor if isinstance(value, Activation)
                      else self.builder.entered.get(name))
            if tensor is None:
                raise ModelError("the model has inputs that nothing quantises")
            tensors.append(tensor)
        return tensors

    def _define(self, name: str, value: Value | None) -> None:
        if not name or name in self.values:
            raise damaged(f"{_text(name)!r} is there twice, or has no name")
        self.values[name] = value

    def _read(self, index: int, node: NodeProto) -> str | None:
        """Read one operator; why it cannot run, or :data:`None`."""
        kind, domain = _text(node.op_type), _domain(node.domain)
        where = f"operator {index} ({kind})" if not node.name else (
            f"operator {index} ({kind} {_text(node.name)!r})")
        for name in node.input:
            if name and name not in self.values:
                raise ModelError(f"{where} reads {_text(name)!r}, which nothing has computed yet")
        inputs = [self.values[name] if name else None for name in node.input]
        values: tuple[Value | None, ...] = ()
        try:
            value = self._value(where, kind, domain, node, inputs)
            values = value if isinstance(value, tuple) else (value,)
            for each, name in zip(values, node.output, strict=False):
                if isinstance(each, Activation) and not each.real:
                    self.builder.label(each, _text(name))
            return None
        except Refusal as refusal:
            return f"{where}: {refusal}"
        finally:
            for position, name in enumerate(node.output):
                if name:
                    self._define(name, values[position] if position < len(values) else None)

    def _value(self, where: str, kind: str, domain: str, node: NodeProto,
               inputs: list[Value | None]) -> Value | tuple[Value, ...] | None:
        """What an operator computes, of several results a tuple, or :data:`None` where it reads
        what a refused one would."""
        converters = _converters().get(domain, {})
        if kind not in converters:
            raise Refusal("not supported" + (f" in the domain {_text(domain)}" if domain else ""))
        if any(name and value is None for name, value in zip(node.input, inputs, strict=True)):
            return None
        if len(inputs) > MOST_OPERANDS:
            raise Refusal(f"it has {len(inputs)} operands, more than {MOST_OPERANDS}")
        version = self.versions.get(domain, VERSIONS[domain][0])
        made = Node(
            kind=kind, name=_text(node.name), inputs=tuple(inputs), outputs=tuple(node.output),
            attributes={attribute.name: attribute for attribute in node.attribute},
            version=version, builder=self.builder)
        # A Shape needs no numbers; others are computed here where all their operands are known.
        if kind in fold.CONVERTERS and (kind == "Shape" or all(
                isinstance(value, Constant) for value in inputs)):
            return fold.CONVERTERS[kind](made)
        fusion.check(kind, node.input, inputs, self.readers, self.builder)
        with converting(where, Refusal):
            value = converters[kind](made)
        return fusion.followed(kind, version, inputs, value, self.builder)


def _names(model: ModelProto) -> Iterator[str]:
    """All names that matter here. Protobuf gives bytes for what is not UTF-8."""
    graph = model.graph
    yield from (each.domain for each in model.opset_import)
    yield from (each.name for part in (graph.initializer, graph.input, graph.output)
                for each in part)
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _text(value: str) -> str:
    """A name, fit to be printed."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   for letter in value[:LONGEST_NAME])


def _array(tensor: TensorProto) -> npt.NDArray[Any]:
    """The numbers of a constant."""
    name = _text(tensor.name)
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ModelError(f"the constant {name!r} lies in another file, which bytes alone do not "
                         "have: give the model by its path, or save it as one file")
    shape = tuple(tensor.dims)
    if len(shape) > MOST_AXES or min(shape, default=1) < 0 or math.prod(shape) > MOST_ELEMENTS:
        raise damaged(f"the constant {name!r} has the impossible shape {shape[:MOST_AXES]}")
    if tensor_dtype_to_np_dtype(tensor.data_type) == np.dtype(object):
        raise ModelError(f"the constant {name!r} holds text, which is not possible")
    return numpy_helper.to_array(tensor)
