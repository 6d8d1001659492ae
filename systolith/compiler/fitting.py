"""Whether a network fits a build of the accelerator, and builds that are large enough."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from amaranth.utils import ceil_log2

from rtl.accelerator import AcceleratorParams, descriptor_words
from rtl.accelerator.params import SHARED_AGU_BYTES
from rtl.params import ArrayParams
from systolith.compiler.choice import chosen
from systolith.compiler.compile import needs_of
from systolith.compiler.partition import CannotRun
from systolith.compiler.passes import absorb_input_reshapes
from systolith.graph.ir import Graph

__all__ = ["Shortage", "all_results", "fit", "parts", "shortages", "small_build"]

#: The most that a build can have of what a single layer needs.
MOST: dict[str, Any] = {"buffer_bytes": 1 << 17, "max_lines": 4096, "depth": 4096}

#: By parameter: what it is called, its unit, and what helps.
MEMORIES = {
    "activation_bytes": ("activation memory", "bytes", "smaller images or fewer channels"),
    "weight_bytes": ("weight memory", "bytes", "fewer filters or taps"),
    "channels": ("parameter memory", "channels", "fewer output channels in all"),
    "program_words": ("program memory", "words", "fewer layers"),
    "buffer_bytes": ("line buffer", "bytes", "narrower images or fewer channels"),
    "max_lines": ("lines of an image", "lines", "lower images"),
    "depth": ("accumulators", "pixels", "narrower images"),
    "sum_bits": ("width of accumulators", "bits", "fewer or smaller weights of a filter"),
}

#: Of the memory that tensors, weights, parameters and program share in some builds.
SINGLE_MEMORY = "memory that all share", "bytes", "a smaller network"


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A parameter of which a network needs more than a build has.

    ``name`` is that of :class:`AcceleratorParams`. Of a unit, ``need`` and ``have`` say whether it
    is there; of the rounding, which one. In a ``single_memory`` build all share the activation
    memory.
    """

    name: str
    need: int | str
    have: int | str
    single_memory: bool = False

    @property
    def text(self) -> str:
        if self.name == "rounding":
            return (f"rounding: the network needs {self.need}, as "
                    f"{'.onnx' if self.need == 'float32' else '.tflite'} ones do; this build has "
                    f"{self.have}, and one with rounding {self.need} or both would do")
        if self.name not in MEMORIES:
            return f"{self.name}: the network needs that unit, which this build does not have"
        title, unit, remedy = SINGLE_MEMORY if self.single_memory else MEMORIES[self.name]
        assert isinstance(self.need, int) and isinstance(self.have, int)
        return (f"{title}: {self.need} {unit} are needed, {self.need - self.have} more than the "
                f"{self.have} of this build; a larger {self.name} would help, or {remedy}")


def small_build(rows: int = 8, cols: int = 8, drain_lanes: int | None = None,
                **params: Any) -> AcceleratorParams:
    """Parameters of a build of that shape with memories for a small network; ``params`` are others
    of :class:`AcceleratorParams`. ``drain_lanes`` are up to 4 for each array if left out."""
    array = ArrayParams(rows=rows, cols=cols, fir_rows=min(3, rows))
    if drain_lanes is None:
        most = 4 * params.get("pixel_lanes", 1)
        drain_lanes = max(n for n in (1, 2, 4, 8, 16) if n <= most and cols % n == 0)
    return AcceleratorParams(array=array, drain_lanes=drain_lanes, **params)


def _needs(graph: Graph, params: AcceleratorParams, keep: bool = False, batch: int = 1,
           double_buffered: bool = False, compact: bool = False) -> Mapping[str, int | bool]:
    """What ``graph`` needs of each memory, whatever ``params`` have of it.

    Raises :exc:`ValueError` if the network cannot run on any build of that array.
    """
    planned = _able(graph, params)
    try:
        needs = needs_of(graph, planned, keep, batch, double_buffered, compact)
    except ValueError:
        planned = replace(planned, **MOST)
        needs = _at_most(graph, planned, keep, batch, double_buffered, compact)
    if "program_words" in needs:
        needs = {**needs, "program_words": _words(needs, planned, params)}
    return needs


def _at_most(graph: Graph, planned: AcceleratorParams, keep: bool, batch: int,
             double_buffered: bool, compact: bool) -> Mapping[str, int | bool]:
    """What ``graph`` needs of the largest build, where the host runs what not even that can."""
    try:
        return needs_of(graph, planned, keep, batch, double_buffered, compact)
    except CannotRun:
        return needs_of(graph, planned, keep, batch, double_buffered, compact, partition=True)


def _able(graph: Graph, params: AcceleratorParams) -> AcceleratorParams:
    """``params`` with a rounding that ``graph`` may ask for."""
    if params.rounding not in {graph.rounding, "both"}:
        # Only a requantiser of a cycle knows float32.
        params = replace(params, rounding=graph.rounding, requantize=1)
    return params


def _words(needs: Mapping[str, int], planned: AcceleratorParams, params: AcceleratorParams) -> int:
    """Words of the program in a build of ``params``, if ``needs`` are those of ``planned``:
    larger memories have longer addresses."""
    return needs["program_words"] // descriptor_words(planned) * descriptor_words(params)


def shortages(graph: Graph, params: AcceleratorParams, keep: bool = False, batch: int = 1,
              double_buffered: bool = False) -> list[Shortage]:
    """Every :class:`Shortage` of ``graph`` on a build of ``params``; none if it fits, be its inputs
    compact or not. The others are :class:`~systolith.compiler.options.Options`.
    """
    def short(compact: bool) -> list[Shortage]:
        return _shortages(params, graph, _needs(graph, params, keep, batch, double_buffered,
                                                compact))

    return (found := chosen(short)) and min(found, chosen(short, True), key=_size)


def _size(short: list[Shortage]) -> tuple[int, int]:
    """By how little a network is too large: shortages, and what they need in all."""
    return len(short), sum(each.need for each in short if isinstance(each.need, int))


def _shortages(params: AcceleratorParams, graph: Graph,
               needs: Mapping[str, int | bool]) -> list[Shortage]:
    short = [Shortage(name=name, need=need, have=getattr(params, name),
                      single_memory=params.single_memory and name == "activation_bytes")
             for name, need in needs.items() if need > getattr(params, name)]
    if params.rounding not in {graph.rounding, "both"}:
        short.append(Shortage(name="rounding", need=graph.rounding, have=params.rounding))
    return short


def fit(graph: Graph, params: AcceleratorParams, keep: bool = False,
        batch: int = 1) -> AcceleratorParams:
    """``params``, with units and memories that suffice for ``graph``, ``batch`` images at a time.

    Each memory stays as it is if it suffices, and is a power of two otherwise, so that networks
    share builds. Raises :exc:`ValueError` if the network cannot run on any.
    """
    needs = chosen(lambda compact: _needs(graph, params, keep, batch, compact=compact))

    def enough(name: str) -> int:
        need, have = needs[name], getattr(params, name)
        exact = isinstance(need, bool) or name in {"max_lines", "depth", "sum_bits"}
        return max(have, need if exact else 1 << ceil_log2(need))

    able = _able(graph, params)
    sizes: dict[str, Any] = {name: enough(name) for name in needs if name != "program_words"}
    # The unit that walks all loops reaches no further, and knows no windows.
    shared_agu = (able.shared_agu and not sizes.get("pooling", able.pooling)
                  and sizes.get("activation_bytes", able.activation_bytes) <= SHARED_AGU_BYTES)
    try:
        larger = replace(able, shared_agu=shared_agu, **sizes)
    except ValueError as error:
        short = shortages(graph, params, keep=keep, batch=batch)
        raise ValueError(f"the network is too large for any build: {error}. This one is short of "
                         + "; ".join(each.text for each in short)) from error
    if "program_words" not in needs:
        return larger
    words = _words(needs, params, larger)
    return replace(larger, program_words=max(params.program_words, 1 << ceil_log2(words)))


def all_results(graph: Graph) -> Graph:
    """``graph`` with the results of all operators for outputs; but for what becomes an input."""
    graph = absorb_input_reshapes(graph)
    return replace(graph, outputs=tuple(op.outputs[0] for op in graph.operators), states=())


def parts(graph: Graph, params: AcceleratorParams) -> list[Graph]:
    """Graphs that fit a build of ``params``, whose outputs, together, are those of ``graph``: just
    one, if that fits.

    Raises :exc:`ValueError` if not even one of them does.
    """
    short = shortages(graph, params)
    if not short:
        return [graph]
    if len(graph.outputs) == 1:
        raise ValueError(f"{graph.tensors[graph.outputs[0]].name} cannot be kept in this build; "
                         + "; ".join(each.text for each in short))
    half = len(graph.outputs) // 2
    return [part for outputs in (graph.outputs[:half], graph.outputs[half:])
            for part in parts(replace(graph, outputs=outputs), params)]
