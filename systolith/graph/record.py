"""What is known of a kind of operator: one record each, which everything else asks."""

import enum
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from systolith.graph.attributes import Attributes, Clamp

if TYPE_CHECKING:
    from sim.golden.movement import Array
    from sim.golden.types import Int8
    from systolith.compiler.codegen.program import Layer
    from systolith.compiler.lowering.context import Context
    from systolith.frontends.onnx.node import Node as OnnxNode
    from systolith.frontends.onnx.values import Value
    from systolith.frontends.tflite.node import Node as TfliteNode
    from systolith.frontends.tflite.node import Piece
    from systolith.graph.ir import Graph, Operator

__all__ = ["ROUNDINGS", "Channels", "Flags", "Locality", "OperatorRecord", "Placement",
           "RecordError", "Role", "UnknownOperator", "Values", "record_of", "records", "register",
           "unchanged"]

#: What is so of each channel.
Flags = npt.NDArray[np.bool_]

#: A tensor of any type.
Values = npt.NDArray[Any]


#: Of graphs: that of TensorFlow Lite Micro, and that of LiteRT and onnxruntime.
ROUNDINGS = ("tflm", "float32")


class UnknownOperator(Exception):
    """A kind without a record, or what a record says that whoever asked does not know."""


class RecordError(Exception):
    """A record that contradicts itself or another one, or what it gives of an operator."""


class Role(enum.Enum):
    """What an operand is to its operator."""

    ACTIVATION = "activation"
    WEIGHTS = "weights"
    BIAS = "biases"
    VALUE = "value"        #: Of any type, of operators that a runtime runs.
    CONSTANT = "constant"  #: Sizes, axes and the like: what the attributes say already.


class Channels(enum.Enum):
    """Which channels of the operands a channel of the result depends on."""

    ALL = enum.auto()        #: Any may depend on any.
    SAME = enum.auto()       #: On that of the same number in each activation.
    WEIGHTED = enum.auto()   #: On those with a weight other than 0, which may be all.
    DEPTHWISE = enum.auto()  #: On one, which has the weights of some channels of the result.
    JOINED = enum.auto()     #: The activations' channels follow each other.
    FLATTENED = enum.auto()  #: Pixels follow each other as channels.


class Locality(enum.Enum):
    """How much of an operand is behind an element of the result."""

    ELEMENT = enum.auto()  #: One element of each activation, at the same index.
    LINE = enum.auto()     #: A line of the image, of which it makes one or several.
    IMAGE = enum.auto()    #: Anything.


class Placement(enum.Enum):
    """Where a result can lie in memory."""

    OWN = enum.auto()     #: In memory of its own, or in place of an operand.
    VIEW = enum.auto()    #: Where its operand lies: the bytes are the same.
    JOINED = enum.auto()  #: Around its operands, each of which may be written to its part.


def _never(graph: "Graph", operator: "Operator") -> bool:
    return False


def _no_reason(graph: "Graph", operator: "Operator") -> str:
    return ""


def unchanged(operator: "Operator", keep: Flags) -> Attributes:
    """The attributes as they are: none of them counts or lists channels."""
    attributes: Attributes = operator.attributes
    return attributes


@dataclass(frozen=True, kw_only=True)
class OperatorRecord:
    """A kind of operator.

    Parameters
    ----------
    kind : :class:`str`
        Its name in graphs: that of TensorFlow Lite, where it has one.
    operands : tuple of :class:`Role`
        In their order; ``optional`` of them, the last ones, may be left out. With ``variadic``
        there are from ``variadic[0]`` to ``variadic[1]`` of the last role.
    attributes : type
        Of the operator's ``attributes``.
    shape : callable
        ``shape(graph, operator)``: that of the result, the first axis included.
    complaint : callable
        ``complaint(graph, operator)``: what is wrong with an operator whose operands, shapes and
        types are right, or "".
    golden : mapping
        By the rounding of a graph, ``run(graph, operator, *activations)``: the int8 result, of any
        number of images. Kinds without one for a rounding cannot be in such graphs.
    run : callable or None
        In place of ``golden``, for operators with operands and results of any type and number:
        ``run(graph, operator, operands)`` gives all of its results. The host runs them.
    lower : callable or None
        ``lower(context, operator)``: layers of the accelerator; None for a kind that it does not
        have, which the host runs.
    host_reason : callable
        ``host_reason(graph, operator)``: why the host runs an operator in spite of ``lower``, or
        "".
    moves : callable or None
        ``moves(graph, operator, x)``: ``x``, an array of the operand's shape, as the result has it,
        and :data:`~sim.golden.movement.FILL` where it has a fill value. None for a kind that does
        more than that, or has several activations.
    parts : callable or None
        ``parts(graph, operator, y)``: of ``y``, an array of the result's shape, what each
        activation gives, in its shape. Of a kind whose result lies around its operands.
    units : set of :class:`str`
        Units of a build, parameters of :class:`~rtl.accelerator.AcceleratorParams`, that its layers
        may need: none beside the convolution core if it is empty.
    channels : :class:`Channels` or callable
        Or ``channels(graph, operator)``.
    select : callable or None
        ``select(operator, keep)``: its attributes when only the channels ``keep`` of the result
        are left; :func:`unchanged` where they are the same. None where they cannot be told: then
        no channel is taken from it. Plain :class:`~systolith.graph.attributes.Attributes` and
        :class:`~systolith.graph.attributes.Clamp` know no channels, and need none.
    fills : callable
        ``fills(graph, operator)``: whether zero points take part, beside the elements of its
        operands: as padding, or between them.
    locality : :class:`Locality`
    batches : callable or None
        ``batches(graph, operator)``: whether images below each other can be taken for one; by
        default as the locality has it.
    placement : :class:`Placement`
    same_bytes : callable
        ``same_bytes(graph, operator)``: whether the result has the bytes of the operand.
    reads_flat : callable
        ``reads_flat(graph, operator)``: whether bytes are taken in their order, whatever pixels
        they belong to.
    writes_flat : :class:`bool`
        Channels of a single pixel can be given as those of several.
    clamps : :class:`bool`
        It clamps its results, and could do so more narrowly: attributes are a
        :class:`~systolith.graph.attributes.Clamp`.
    planned : :class:`bool`
        It runs as a convolution, whose tiles and bands are planned before it is lowered.
    takes_sum : :class:`bool`
        A sum with another tensor can take place where its results are requantised.
    sums : :class:`bool`
        It is such a sum, of two tensors.
    tflite, onnx, qlinear : mapping
        Converters by the names of operators in files. Of a ``.tflite`` file
        ``convert(node)`` gives the attributes, or, where there are several results, a
        :class:`~systolith.frontends.tflite.node.Piece` for each; ``onnx`` are operators on floats
        or of any type, ``qlinear`` those that have scales among their operands, and give what an
        :mod:`~systolith.frontends.onnx` value is.
    writer : callable
        ``writer(graph, operator)``: name and fields of the options in a .tflite file, of which
        ``version`` is that of the operator.
    """

    kind: str
    operands: tuple[Role, ...] = (Role.ACTIVATION,)
    optional: int = 0
    variadic: tuple[int, int] | None = None
    attributes: type[Attributes] = Attributes
    shape: Callable[["Graph", "Operator"], tuple[int, ...]]
    complaint: Callable[["Graph", "Operator"], str] = _no_reason
    golden: Mapping[str, "Callable[..., Int8]"] = field(default_factory=dict)
    run: Callable[["Graph", "Operator", Sequence[Values]], Sequence[Values]] | None = None
    lower: Callable[["Context", "Operator"], list["Layer"]] | None = None
    host_reason: Callable[["Graph", "Operator"], str] = _no_reason
    moves: "Callable[[Graph, Operator, Array], Array] | None" = None
    parts: "Callable[[Graph, Operator, Array], list[Array]] | None" = None
    units: frozenset[str] = frozenset()
    channels: "Channels | Callable[[Graph, Operator], Channels]" = Channels.ALL
    select: Callable[["Operator", Flags], Attributes] | None = None
    fills: Callable[["Graph", "Operator"], bool] = _never
    locality: Locality = Locality.IMAGE
    batches: Callable[["Graph", "Operator"], bool] | None = None
    placement: Placement = Placement.OWN
    same_bytes: Callable[["Graph", "Operator"], bool] = _never
    reads_flat: Callable[["Graph", "Operator"], bool] = _never
    writes_flat: bool = False
    clamps: bool = False
    planned: bool = False
    takes_sum: bool = False
    sums: bool = False
    tflite: Mapping[str, "Callable[[TfliteNode], Attributes | list[Piece]]"] = field(
        default_factory=dict)
    onnx: Mapping[str, "Callable[[OnnxNode], Value | tuple[Value, ...]]"] = field(
        default_factory=dict)
    qlinear: Mapping[str, "Callable[[OnnxNode], Value | tuple[Value, ...]]"] = field(
        default_factory=dict)
    writer: Callable[["Graph", "Operator"], tuple[str, dict[str, Any]]] | None = None
    version: int = 1

    def __post_init__(self) -> None:
        """Raises :exc:`RecordError` for a record that contradicts itself."""
        wrong = next(self._wrong(), None)
        if wrong:
            raise RecordError(f"the record of {self.kind!r} is not valid: {wrong}")
        if self.select is None and self.attributes in {Attributes, Clamp}:
            object.__setattr__(self, "select", unchanged)

    def _wrong(self) -> Iterator[str]:
        """What contradicts itself, types first, on which the others rely."""
        if not isinstance(self.kind, str) or not self.kind:
            yield "its kind must be a name"
        if not isinstance(self.operands, tuple) or not self.operands or not all(
                isinstance(role, Role) for role in self.operands):
            yield f"operands must be a tuple of Role, not {self.operands!r}"
        if not isinstance(self.attributes, type) or not issubclass(self.attributes, Attributes):
            yield f"attributes must be a type of Attributes, not {self.attributes!r}"
        for name in ("shape", "complaint", "host_reason", "fills", "same_bytes", "reads_flat"):
            if not callable(getattr(self, name)):
                yield f"{name} must be callable, not {getattr(self, name)!r}"
        if self.run is not None and (self.golden or self.lower):
            yield "what a runtime runs has neither a golden model nor layers (lower)"
        if (Role.VALUE in self.operands) != (self.run is not None):
            yield "operands of any type are those of what a runtime runs (run)"
        for name in ("run", "lower", "moves", "parts", "select", "batches", "writer"):
            if not callable(getattr(self, name) or print):
                yield f"{name} must be callable or None, not {getattr(self, name)!r}"
        for name in ("golden", "tflite", "onnx", "qlinear"):
            for key, function in getattr(self, name).items():
                if not isinstance(key, str) or not callable(function):
                    yield f"{name} must have a callable for each name, not {function!r} for {key!r}"
        for name, kind in (("locality", Locality), ("placement", Placement)):
            if not isinstance(getattr(self, name), kind):
                yield f"{name} must be a {kind.__name__}, not {getattr(self, name)!r}"
        if rest := self.golden.keys() - ROUNDINGS:
            yield f"golden has the rounding {min(rest)!r}; there are {' and '.join(ROUNDINGS)}"
        if both := self.onnx.keys() & self.qlinear.keys():
            yield f"both onnx and qlinear read {min(both)}"
        if self.variadic and (self.optional or not 0 <= self.variadic[0] <= self.variadic[1]):
            yield f"variadic must be two counts, and nothing optional, not {self.variadic}"
        if not 0 <= self.optional <= len(self.operands):
            yield f"optional must be a number of operands, not {self.optional}"
        if self.clamps and not issubclass(self.attributes, Clamp):
            yield f"what clamps has the attributes Clamp, not {self.attributes.__name__}"
        if self.units and not self.lower:
            yield "it names units, but has no layers (lower)"
        if self.planned and not (self.weighted and self.lower):
            yield "what is planned has weights and layers (lower)"
        if self.takes_sum and not self.planned:
            yield "only what is planned can take a sum"
        if self.sums and self.operands.count(Role.ACTIVATION) != 2:
            yield "a sum is one of two activations"
        if self.moves and not self._single:
            yield "what moves numbers has one activation"
        if isinstance(self.channels, Channels):
            yield from filter(None, [self._wrong_channels(self.channels)])
        elif not callable(self.channels):
            yield f"channels must be a Channels or callable, not {self.channels!r}"

    def _wrong_channels(self, channels: Channels) -> str:
        """Why ``channels`` cannot be so of its operands, or ""."""
        if channels in {Channels.WEIGHTED, Channels.DEPTHWISE} and not {
                Role.WEIGHTS, Role.BIAS} <= set(self.operands):
            return f"{channels} needs weights, and a place for biases"
        if channels not in {Channels.ALL, Channels.SAME, Channels.JOINED} and not self._single:
            return f"{channels} is of a single activation"
        return ""

    @property
    def _single(self) -> bool:
        """Whether it has one activation."""
        last = self.variadic is not None and self.operands[-1] is Role.ACTIVATION
        return self.operands.count(Role.ACTIVATION) == 1 and not last

    @property
    def elementwise(self) -> bool:
        """Whether each number of the result depends on one number of one activation alone, so that
        a table of 256 entries says all of it."""
        return self.locality is Locality.ELEMENT and self.operands == (Role.ACTIVATION,)

    def role(self, position: int) -> Role:
        """Of the operand at ``position``."""
        return self.operands[min(position, len(self.operands) - 1)]

    def position(self, role: Role) -> int | None:
        """Of the first operand of ``role``, or None."""
        return self.operands.index(role) if role in self.operands else None

    @property
    def weighted(self) -> bool:
        return Role.WEIGHTS in self.operands

    def counts(self) -> tuple[int, int]:
        """Operands at the least and at the most."""
        most = len(self.operands)
        if self.variadic:
            return most - 1 + self.variadic[0], most - 1 + self.variadic[1]
        return most - self.optional, most

    def names(self) -> dict[str, set[str]]:
        """Of the operators of files that it reads, by the format."""
        return {".tflite": set(self.tflite), ".onnx": {*self.onnx, *self.qlinear}}

    def channels_of(self, graph: "Graph", operator: "Operator") -> Channels:
        """How its channels depend on those of its operands.

        Raises :exc:`RecordError` for an answer that its operands do not allow.
        """
        if isinstance(self.channels, Channels):
            return self.channels
        channels = self.channels(graph, operator)
        wrong = (self._wrong_channels(channels) if isinstance(channels, Channels)
                 else f"channels must give a Channels, not {channels!r}")
        if wrong:
            raise RecordError(f"the record of {self.kind!r} is not valid: {wrong}")
        return channels

    def batches_of(self, graph: "Graph", operator: "Operator") -> bool:
        """Whether an operator can take images that lie below each other for one."""
        if self.batches is not None:
            return self.batches(graph, operator)
        return self.locality is not Locality.IMAGE


_records: dict[str, OperatorRecord] = {}


def register(*found: OperatorRecord) -> None:
    """Make kinds of operators known.

    Raises :exc:`RecordError` for a kind that has another record already, and for an operator of
    files that another record reads; then none is registered.
    """
    known = {**records(), **{record.kind: record for record in found}}
    for record in found:
        if not _records.get(record.kind, record) is record is known[record.kind]:
            raise RecordError(f"there is a record of operators of kind {record.kind} already")
        for other in known.values():
            for form, names in record.names().items():
                if other is not record and (both := names & other.names()[form]):
                    raise RecordError(f"the records of {other.kind} and {record.kind} both read "
                                      f"{form} operators of the name {min(both)}")
    _records.update((record.kind, record) for record in found)


def records() -> Mapping[str, OperatorRecord]:
    """All of them by their kinds: those of the modules of :mod:`systolith.operators`, and those
    that were registered besides."""
    # They know importers and the compiler, which both know this module: hence not at the top.
    importlib.import_module("systolith.operators")
    return _records


def record_of(kind: str) -> OperatorRecord:
    """The record of a kind; raises :exc:`UnknownOperator` if there is none."""
    found = records().get(kind)
    if found is None:
        raise UnknownOperator(f"there is no record of operators of kind {kind}: register one "
                              "(systolith.graph.record.register)")
    return found
