"""From the bytes of a .tflite file to a :class:`systolith.graph.ir.Graph`."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite
from flatbuffers import number_types

from systolith.frontends.source import Source, converting, read_source
from systolith.frontends.tflite.buffers import inlined
from systolith.frontends.tflite.constants import folded, live
from systolith.frontends.tflite.io_tensors import IoTensors, absorb_transposes
from systolith.frontends.tflite.lookup import lookup
from systolith.frontends.tflite.node import DAMAGE, Node, Piece, Refusal, damaged
from systolith.frontends.tflite.partition import Left, in_groups
from systolith.frontends.tflite.variables import Listed, Variables
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Graph, ModelError, Operator, Tensor
from systolith.graph.record import records
from systolith.graph.verify import verify

__all__ = ["read_tflite", "supported"]

#: What the package tflite reads a table of a file with: it has no types.
Table = Any

DTYPES = {code: name.lower() for name, code in vars(tflite.TensorType).items()
          if isinstance(code, int)}
OPTIONS = {code: getattr(tflite, name) for name, code in vars(tflite.BuiltinOptions).items()
           if isinstance(code, int) and hasattr(tflite, name)}

#: Limits past which a file is taken for damaged rather than large: vectors and tables may overlap,
#: so that a small file can claim any number of them.
MOST_OPERATORS, MOST_TENSORS, MOST_ELEMENTS, MOST_AXES = 4096, 16384, 1 << 26, 6
MOST_OPERANDS, MOST_SCALES, LONGEST_NAME = 1024, 1 << 20, 1024

VERSION = 3  # of the schema, the only one in use
BUILTIN_CODE = 10  # where the schema has it among the fields of an operator code

#: What stands for a tensor that nothing reads.
UNUSED = Tensor(name="", shape=(1,))

#: Why an operator without a record cannot run.
UNSUPPORTED = "not supported"


def read_tflite(source: Source, *, partition: bool = False) -> Graph:
    """The :class:`~systolith.graph.ir.Graph` of a .tflite file, given by path or as bytes.

    With ``partition``, operators that are not supported are left to the runtime: they become
    operators of kind RUNTIME, which the host runs.

    Raises
    ------
    :exc:`~systolith.graph.ir.ModelError`
        If the file cannot be read, is damaged, or holds operators which are not supported: all of
        those are named, each with its index and the reason.
    """
    return read_source(source, lambda data: _checked(data, partition))


def _checked(data: bytes, partition: bool) -> Graph:
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise ModelError("not a .tflite model: it does not carry the identifier TFL3")
    try:
        return _read(inlined(data), partition)
    except DAMAGE as error:
        raise damaged(error) from error


def _numbers(table: Table, name: str, most: float) -> npt.NDArray[Any]:
    """A vector of at most ``most`` numbers as an array."""
    values = getattr(table, f"{name}AsNumpy")()
    if isinstance(values, int):  # left out
        return np.zeros(0, np.int32)
    if values.size > most:
        raise ModelError(f"the model is damaged: it claims {values.size} {name.lower()} in one "
                         f"place, more than {most}")
    return values


def _tables(table: Table, name: str, most: int) -> list[Table]:
    """A vector of tables as a list of at most ``most``."""
    count = getattr(table, f"{name}Length")()
    if count > most:
        raise ModelError(f"the model is damaged: it claims {count} {name.lower()}, more than "
                         f"{most}")
    return [getattr(table, name)(index) for index in range(count)]


def _text(value: bytes | None) -> str:
    """A name, fit to be printed."""
    text = "" if value is None else value[:LONGEST_NAME].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
                   for letter in text)


def _read(data: bytes, partition: bool) -> Graph:
    model = tflite.Model.GetRootAs(data, 0)
    if model.Version() != VERSION:
        raise ModelError(f"the model has version {model.Version()} of the schema instead of "
                         f"{VERSION}")
    subgraphs = _tables(model, "Subgraphs", MOST_OPERATORS)
    if not subgraphs:
        raise ModelError("the model has no subgraph")
    buffers = _tables(model, "Buffers", MOST_TENSORS)
    codes = _tables(model, "OperatorCodes", MOST_OPERATORS)

    def further(number: int) -> tuple[Sequence[Tensor], list[Listed]]:
        if not 0 < number < len(subgraphs):
            raise Refusal(f"it names subgraph {number}, but there are {len(subgraphs)}")
        found = _listed(subgraphs[number], codes)
        return _tensors(subgraphs[number], buffers, _used(found)), found

    listed = _listed(subgraphs[0], codes)
    if not listed:
        raise ModelError("the model has no operators")
    inputs, outputs = _operands_of(subgraphs[0])
    kinds = [each.kind for each in listed]
    operands = [(each.inputs, each.outputs) for each in listed]
    needed = live(kinds, operands, outputs)
    tensors = _tensors(subgraphs[0], buffers,
                       {*inputs, *outputs, *_used(listed[index] for index in needed)})
    tensors, needed, computed = folded(data, tensors, kinds, operands, needed, outputs)
    io_tensors = IoTensors(tensors, inputs, outputs,
                           [x for index in needed for x in operands[index][0]])
    variables = Variables(tensors, further)
    operators: list[Operator] = []
    left: list[Left] = []
    refusals: list[str] = []
    more = itertools.count(len(listed))
    for index in sorted(needed):
        each = listed[index]
        try:
            taken = variables.take(index, each)
        except Refusal as refusal:
            refusals.append(f"operator {index} ({each.kind}): {refusal}")
            continue
        try:
            if taken is not None:
                operators += taken
            elif not io_tensors.take(each.kind, each.inputs, each.outputs):
                operators += _operators(index, each, io_tensors.tensors, more)
        except Refusal as refusal:
            unknown = str(refusal) == UNSUPPORTED or each.kind == "ADD"  # of two activations alone
            if (partition or unknown) and (made := lookup(
                    data, io_tensors.tensors, index, each.kind, each.inputs, each.outputs,
                    computed)):
                operators.append(made)
                continue
            left.append(Left(index=index, kind=each.kind, inputs=each.inputs,
                             outputs=each.outputs, reason=str(refusal)))
    if not partition:
        refusals += [f"operator {each.index} ({each.kind}): {each.reason}" for each in left]
    variable = [index for index in range(len(tensors)) if subgraphs[0].Tensors(index).IsVariable()]
    refusals += variables.own(variable, {index: listed[index] for index in sorted(needed)},
                              {each.index for each in left})
    if refusals:
        known = ([f"supported are {', '.join(supported())}"]
                 if any(each.reason == UNSUPPORTED for each in left) else [])
        raise ModelError("\n  ".join([f"{len(refusals)} of {len(listed)} operators cannot run:",
                                      *refusals, *known]))
    try:
        states = variables.states()
    except Refusal as refusal:
        raise ModelError(str(refusal)) from refusal
    tensors = [*io_tensors.tensors, *variables.after]
    inputs = (*io_tensors.inputs, *(given for _, given, _ in states))
    outputs = (*io_tensors.outputs, *(result for _, _, result in states))
    if left:
        operators = in_groups(data, tensors, operators, left, outputs, computed,
                              variables.renamed)
    graph = Graph(tensors=tuple(tensors), operators=tuple(operators), inputs=inputs,
                  outputs=outputs, states=tuple(state for state, *_ in states))
    _check_inputs(graph, partition)
    return verify(absorb_transposes(verify(graph, "the model")))


def _listed(subgraph: Table, codes: Sequence[Table]) -> list[Listed]:
    """Operators of a subgraph."""
    listed = []
    for index, table in enumerate(_tables(subgraph, "Operators", MOST_OPERATORS)):
        kind = _kind(index, table, codes)
        inputs, outputs = _operands(index, kind, table, subgraph.TensorsLength())
        listed.append(Listed(kind=kind, inputs=inputs, outputs=outputs, options=_options(table)))
    return listed


def _used(listed: Iterable[Listed]) -> set[int]:
    """Tensors of operators."""
    return {index for each in listed for index in (*each.inputs, *each.outputs)}


def _tensors(subgraph: Table, buffers: Sequence[Table], used: set[int]) -> list[Tensor]:
    """Tensors of a subgraph, of which only those that are ``used`` are read."""
    tables = _tables(subgraph, "Tensors", MOST_TENSORS)
    scales = sum(quantization.ScaleLength() for table in tables
                 if (quantization := table.Quantization()) is not None)
    if scales > MOST_SCALES:
        raise ModelError(f"the model is damaged: it claims {scales} scales, more than "
                         f"{MOST_SCALES}")
    return [_tensor(index, table, buffers) if index in used else UNUSED
            for index, table in enumerate(tables)]


def _tensor(index: int, table: Table, buffers: Sequence[Table]) -> Tensor:
    shape = tuple(_numbers(table, "Shape", MOST_OPERANDS).tolist())
    name = f"tensor {index} ({_text(table.Name())})"
    if len(shape) > MOST_AXES or min(shape, default=1) < 1 or math.prod(shape) > MOST_ELEMENTS:
        raise ModelError(f"{name} has the impossible shape {shape}")
    if table.Buffer() >= len(buffers):
        raise ModelError(f"{name} names buffer {table.Buffer()}, but there are {len(buffers)}")
    if table.Sparsity() is not None:
        raise ModelError(f"{name} is sparse, which is not supported")
    dtype = DTYPES.get(table.Type())
    if dtype is None:
        raise ModelError(f"{name} has the unknown type {table.Type()}")
    content, data = _numbers(buffers[table.Buffer()], "Data", math.inf), None
    if content.size:
        data = content
        if dtype in {"int8", "int32"}:
            expected = math.prod(shape) * np.dtype(dtype).itemsize
            if content.size != expected:
                raise ModelError(f"{name} has {content.size} bytes of data instead of {expected}")
            data = content.view(np.dtype(dtype).newbyteorder("<")).reshape(shape)
    scales, zero_points, axis = (), np.zeros(0, np.int64), 0
    if (quantization := table.Quantization()) is not None:
        scales = tuple(_numbers(quantization, "Scale", MOST_SCALES).tolist())
        zero_points = _numbers(quantization, "ZeroPoint", MOST_SCALES)
        axis = quantization.QuantizedDimension()
    if zero_points.size != len(scales) or np.unique(zero_points).size > 1:
        raise ModelError(f"{name} has {len(scales)} scales and the zero points "
                         f"{zero_points[:8].tolist()}")
    return Tensor(name=_text(table.Name()), shape=shape, dtype=dtype, scales=scales, axis=axis,
                  zero_point=int(zero_points[0]) if zero_points.size else 0, data=data)


def _kind(index: int, operator: Table, codes: Sequence[Table]) -> str:
    """Name of an operator: older files have but the deprecated, narrower code, and of two the
    greater one counts. ``BuiltinCode()`` passes over one below 127."""
    if operator.OpcodeIndex() >= len(codes):
        raise ModelError(f"operator {index} names operator code {operator.OpcodeIndex()}, but "
                         f"there are {len(codes)}")
    code = codes[operator.OpcodeIndex()]
    table = code._tab
    place = table.Offset(BUILTIN_CODE)
    builtin = table.Get(number_types.Int32Flags, place + table.Pos) if place else 0
    builtin = max(builtin, code.DeprecatedBuiltinCode())
    if builtin == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM {_text(code.CustomCode())}"
    return tflite.utils.BUILTIN_OPCODE2NAME.get(builtin, f"BUILTIN {builtin}")


def _operands_of(table: Table) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Inputs and outputs of an operator, or of all of them."""
    inputs, outputs = (tuple(_numbers(table, name, MOST_OPERANDS).tolist())
                       for name in ("Inputs", "Outputs"))
    return inputs, outputs


def _operands(index: int, kind: str, table: Table,
              count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    inputs, outputs = _operands_of(table)
    for position in inputs + outputs:
        if not -1 <= position < count:
            raise ModelError(f"operator {index} ({kind}) names tensor {position}, but there are "
                             f"{count}")
    return inputs, outputs


def _options(table: Table) -> Table | None:
    """Those of an operator, in the class that the file names."""
    options = table.BuiltinOptions()
    if options is not None and table.BuiltinOptionsType() in OPTIONS:
        typed = OPTIONS[table.BuiltinOptionsType()]()
        typed.Init(options.Bytes, options.Pos)
        return typed
    return options


def _operators(index: int, listed: Listed, tensors: Sequence[Tensor],
               more: Iterator[int]) -> list[Operator]:
    """What an operator of a file becomes: one, or one for each of its results, of which all but the
    first have numbers that are ``more`` than there are in the file."""
    converters = _converters()
    inputs, outputs = listed.inputs, listed.outputs
    if listed.kind not in converters:
        raise Refusal(UNSUPPORTED)
    if -1 in outputs:
        raise Refusal("an output is left out")
    node = Node(listed.kind, tuple(None if at < 0 else tensors[at] for at in inputs),
                tuple(tensors[at] for at in outputs), listed.options)
    kind, convert = converters[listed.kind]
    with converting(f"operator {index} ({node.kind})", Refusal):
        made = convert(node)
    if not isinstance(made, list):
        return [Operator(kind=kind, inputs=inputs, outputs=outputs, attributes=made, index=index)]
    return [Operator(kind=kind, inputs=tuple(inputs[at] for at in piece.operands),
                     outputs=(outputs[piece.output],), attributes=piece.attributes,
                     index=next(more) if number else index)
            for number, piece in enumerate(made)]


def supported() -> list[str]:
    """Names of the operators of files that graphs can have."""
    return sorted(_converters())


def _converters() -> dict[str, tuple[str, Callable[[Node], Attributes | list[Piece]]]]:
    """For each operator of a file the kind that it becomes, and what gives its attributes."""
    return {name: (record.kind, convert) for record in records().values()
            for name, convert in record.tflite.items()}


def _check_inputs(graph: Graph, partition: bool) -> None:
    """Raise :exc:`ModelError` unless what the model is given are int8 activations, or numbers that
    the runtime takes."""
    for index in graph.inputs:
        if not 0 <= index < len(graph.tensors):
            raise ModelError(f"the model's input is tensor {index}, but there are "
                             f"{len(graph.tensors)}")
        tensor = graph.tensors[index]
        if tensor.data is not None or (tensor.dtype != "int8" and not partition):
            raise ModelError(f"the model's input ({tensor.name}) is not an int8 activation")
