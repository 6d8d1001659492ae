"""What the accelerator is given: descriptors, weights, parameters, and where tensors lie."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape
from amaranth.lib import data

from rtl.accelerator import AcceleratorParams
from rtl.accelerator.control.descriptor import Kind, descriptor_of, descriptor_words
from rtl.accelerator.registers import Window
from sim.golden.types import Int8, Int64
from sim.packing import ShapeLike, pack
from systolith.compiler.codegen.loop_nests import MOST, Fields, shared_loop_nests
from systolith.compiler.layout.region import Region
from systolith.compiler.partition import CannotRun
from systolith.compiler.tiling.conv_plan import ConvPlan
from systolith.graph.ir import Graph, Operator

__all__ = ["UNITS", "Bases", "Layer", "Program", "Rows", "Segment", "areas_of", "encode", "gather",
           "packed"]

#: Units that layers need beside the convolution core, by the parameter of a build that has each.
UNITS = {Kind.POOL: "pooling", Kind.ADD: "addition", Kind.TABLE: "addition"}

#: Of :class:`rtl.layouts.ChannelParams`.
FIELDS = "bias", "multiplier", "shift"

Scalar = TypeVar("Scalar", bound=np.generic)

#: The first one, how many there are, and how often they are read.
Rows = tuple[int, int, int]

#: Of a layer: rows of weights, and parameters of channels.
Bases = tuple[Rows, Rows]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One descriptor: ``fields`` as of :func:`descriptor_of` but for those that are 0.

    ``weights`` (rows, cols) int8 and ``params`` (a dict of arrays, one entry for each channel) are
    read ``repeats`` times. ``macs`` says what the layer computes, ``moved`` how many bytes it but
    copies, ``operator`` for which one; ``plan`` is the
    :class:`~systolith.compiler.tiling.conv_plan.ConvPlan` of a convolution.
    """

    kind: Kind
    operator: Operator
    fields: Fields
    weights: Int8
    params: dict[str, np.ndarray]
    repeats: int = 1
    macs: int = 0
    moved: int = 0
    plan: ConvPlan | None = None

    @property
    def unit(self) -> str | None:
        """The unit that it needs, or None."""
        return UNITS.get(self.kind)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Layers that run on one go: ``layers`` of them from ``first`` on, whose descriptors, with one
    that ends them, are ``words`` words from ``start`` on."""

    first: int
    layers: int
    start: int
    words: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """A network for one build of the accelerator.

    ``steps`` are what is done one after the other: a :class:`Segment` runs on the accelerator, an
    operator of the graph on the host, which reads what it needs, and writes what has a place.

    ``descriptors`` are words of 32 bits; ``weights`` are rows of a byte for each column,
    ``channels`` arrays of the fields of :class:`rtl.layouts.ChannelParams`. ``regions`` say where
    each tensor lies, the first one of ``images``; the others follow it. ``inputs`` has, for each
    input that is written in the order of a convolution, the
    :class:`~systolith.compiler.tiling.conv_plan.ConvPlan` of that. ``areas`` say, by window, at
    which word of their memories activations, weights, parameters and descriptors begin. ``needs``
    is what the network takes of each memory, and ``least_activations`` the bytes that are alive at
    a time at the most. With ``keep`` no tensor makes room for another. ``host`` says of each
    operator that the host runs, by its number, why.

    A program with a ``pong`` has its one segment twice, the second right behind the first: it has
    those places for what the host reaches, and shares all else. So the host can write the inputs
    of the next run, and read the outputs of the last one, while one is under way.
    """

    params: AcceleratorParams
    graph: Graph
    steps: tuple[Segment | Operator, ...]
    layers: tuple[Layer, ...]
    descriptors: npt.NDArray[np.uint32]
    weights: Int8
    channels: Mapping[str, Int64]
    areas: Mapping[Window, int]
    inputs: Mapping[int, ConvPlan]
    regions: Mapping[int, Region]
    needs: Mapping[str, int | bool]
    least_activations: int
    images: int = 1
    keep: bool = False
    host: Mapping[int, str] = field(default_factory=dict)
    pong: Mapping[int, Region] | None = None

    @property
    def variants(self) -> tuple[Self, ...]:
        """Programs to run in turns: this one, and that of the twin."""
        if self.pong is None:
            return (self,)
        steps = tuple(replace(step, start=step.start + step.words) if isinstance(step, Segment)
                      else step for step in self.steps)
        return self, replace(self, steps=steps, regions=self.pong, pong=None)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def fused_into(self) -> dict[int, int]:
        """The operator in whose layers each sum takes place that has none of its own, by index."""
        return {before.operator.index: layer.operator.index
                for before, layer in pairwise(self.layers) if before.kind == Kind.TABLE}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Steps that run on the accelerator."""
        return tuple(step for step in self.steps if isinstance(step, Segment))

    @property
    def rest(self) -> tuple[Operator, ...]:
        """Operators that are left to the host."""
        return tuple(step for step in self.steps if not isinstance(step, Segment))


def gather(layers: Iterable[Layer],
           cols: int) -> tuple[Int8, dict[str, Int64], list[Bases]]:
    """All weights (rows, cols), all channels' parameters, and which of either each layer has.

    What is there already is not stored again.
    """
    rows, channels = _Pool(cols, np.int8), _Pool(len(FIELDS), np.int64)
    bases = [(rows.add(layer.weights, layer.repeats), channels.add(_table(layer), layer.repeats))
             for layer in layers]
    return rows.all(), dict(zip(FIELDS, channels.all().T.copy(), strict=True)), bases


def _table(layer: Layer) -> Int64:
    return np.stack([layer.params[name] for name in FIELDS], axis=1).astype(np.int64)


def _period(block: npt.NDArray[Scalar], repeats: int) -> tuple[npt.NDArray[Scalar], int]:
    """The shortest block of rows that, read more often, says the same as ``block`` does when it is
    read ``repeats`` times; and how often."""
    count = len(block)
    for length in range(1, count // 2 + 1):
        often = count // length
        if count % length == 0 and often * repeats <= MOST and (
                block[length:] == block[:-length]).all():
            return block[:length], often * repeats
    return block, repeats


def areas_of(params: AcceleratorParams,
             sizes: Mapping[Window, int]) -> tuple[dict[Window, int], int]:
    """First word of each of the areas, and how many words all of them take if they share a memory.

    ``sizes``, in words of their memories, are in the order in which areas follow each other there.
    """
    areas, total = {}, 0
    for window, size in sizes.items():
        areas[window] = total if params.single_memory else 0
        total += size
    return areas, total


def encode(params: AcceleratorParams, rounding: str, layers: Sequence[Layer],
           segment_ends: Collection[int], bases: Sequence[Bases],
           areas: Mapping[Window, int]) -> npt.NDArray[np.uint32]:
    """Descriptors, in words of 32 bits, of layers whose weights and parameters lie at ``bases``, as
    of :func:`gather`, in their ``areas``.

    After each of the ``segment_ends``, numbers of layers, the program stops. Raises
    :exc:`ValueError` for what a field of the build cannot hold.
    """
    mode = {"float32": int(rounding == "float32")} if params.rounding == "both" else {}
    layout, words = descriptor_of(params), descriptor_words(params)
    out = []
    for number, (layer, (rows, channels)) in enumerate(zip(layers, bases, strict=True)):
        fields = {"kind": int(layer.kind), **mode, **layer.fields,
                  "weights": _sequence(areas[Window.WEIGHTS], 1, *rows),
                  "params": _sequence(areas[Window.PARAMS], params.channel_words, *channels)}
        if params.shared_agu:
            fields = shared_loop_nests(params, fields)
        try:
            out.append(packed(layout, fields, words))
        except ValueError as error:
            raise CannotRun(layer.operator, f"it is more than a descriptor can say, of up to "
                            f"{MOST - 1} lines, pixels or channels: {error}") from error
        if number + 1 in segment_ends:
            out.append(packed(layout, {"kind": int(Kind.END)}, words))
    return np.concatenate(out) if out else np.zeros(0, np.uint32)


class _Pool(Generic[Scalar]):
    """Rows of so many numbers in blocks, each block once."""

    def __init__(self, width: int, dtype: type[Scalar]) -> None:
        self._blocks = [np.zeros((0, width), dtype)]
        self._bases: dict[bytes, int] = {}
        self._count = 0

    def add(self, block: npt.NDArray[Scalar], repeats: int) -> Rows:
        """The rows of ``block``, which is read ``repeats`` times."""
        block, repeats = _period(block, repeats)
        key = block.tobytes()
        if key not in self._bases:
            self._bases[key] = self._count
            self._blocks.append(block)
            self._count += len(block)
        return self._bases[key], len(block), repeats

    def all(self) -> npt.NDArray[Scalar]:
        return np.concatenate(self._blocks)


def _sequence(area: int, words: int, first: int, rows: int, repeats: int) -> Fields:
    base, count = area + first * words, rows * words
    return {"base": base, "count": max(count - 1, 0), "repeats": repeats - 1, "used": count > 0}


def packed(layout: ShapeLike, fields: Mapping[str, Any], words: int) -> npt.NDArray[np.uint32]:
    """``fields`` of ``layout``, those left out being 0, as so many words of 32 bits; without those
    that the build has no use for.

    Raises :exc:`ValueError`, with the name of the field, for what the layout cannot hold.
    """
    raw = pack(layout, complete(layout, fields, ""))[0]
    return np.pad(raw, (0, 4 * words - len(raw))).view("<u4")


def complete(shape: ShapeLike, value: Any, name: str, all_known: bool = False) -> Any:
    """``value`` of the field ``name`` as arrays of one payload for :func:`~sim.packing.pack`, with
    0 for what is left out; raises as :func:`packed` does, and with ``all_known`` for fields that
    the layout does not have."""
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        shape = data.Layout.cast(shape)
    if isinstance(shape, data.ArrayLayout):
        given = list(_of_type(name, [] if value is None else value,
                              (list, tuple, np.ndarray), "[...]"))
        if len(given) > shape.length:
            raise ValueError(f"{name} has {len(given)} elements, but {shape.length} in this build")
        elements = [complete(shape.elem_shape, each, f"{name}[{index}]", all_known)
                    for index, each in enumerate(given + [None] * (shape.length - len(given)))]
        if not isinstance(elements[0], dict):
            return np.stack(elements, axis=1)
        return {key: np.stack([element[key] for element in elements], axis=1)
                for key in elements[0]}
    if isinstance(shape, data.Layout):
        value = _of_type(name, {} if value is None else value, dict, "{...}")
        names = [key for key, _ in shape]
        for key in value:
            if all_known and key not in names:
                raise ValueError(f"there is no field {f'{name}.{key}'.lstrip('.')!r}, only "
                                 f"{', '.join(names)}")
        return {key: complete(each.shape, value.get(key), f"{name}.{key}".lstrip("."), all_known)
                for key, each in shape}
    shape = Shape.cast(shape)
    value = int(_of_type(name, 0 if value is None else value, (int, np.integer, np.bool_),
                         "a number"))
    low = -(1 << shape.width - 1) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    if value < low:
        raise ValueError(f"{name} must be at least {low} in this build, not {value}")
    if value > high:
        raise ValueError(f"{name} must be at most {high} in this build, not {value}")
    return np.array([value])


def _of_type(name: str, value: Any, kind: type | tuple[type, ...], what: str) -> Any:
    if isinstance(value, kind):
        return value
    raise ValueError(f"{name} must be {what}, not {value!r}")
