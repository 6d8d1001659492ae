"""From a graph to a program: the phases of the compiler, one after the other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from rtl.accelerator import AcceleratorParams, descriptor_words
from rtl.accelerator.registers import Window
from sim.golden.types import Int8, Int64
from systolith.compiler.batch import check_states
from systolith.compiler.codegen.program import (
    UNITS,
    Bases,
    Layer,
    Program,
    Segment,
    areas_of,
    encode,
    gather,
)
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.placement import Placement, place_tensors
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.lower import Lowered, lower
from systolith.compiler.memory.addresses import Memory, assign_addresses
from systolith.compiler.options import Options
from systolith.compiler.partition import CannotRun
from systolith.compiler.partition import partition as divide
from systolith.compiler.passes import optimise
from systolith.compiler.residual_fusion import fuse_adds
from systolith.compiler.schedule import Schedule, schedule
from systolith.compiler.tiling.plans import Plans, plan_layers
from systolith.graph.attributes import Foreign
from systolith.graph.ir import Graph

__all__ = ["Compilation", "compile_graph", "needs_of", "run_phases"]

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """What each phase made of a graph, for a build of ``params``.

    ``lowered`` are the layers and, if the program is double-buffered, ``pong`` those with the
    regions of the second run. ``needs`` is what the network takes of each memory, by the name of
    the parameter that sizes it; of line buffer and accumulators, what its largest line takes; and
    whether it takes each of the units of
    :data:`~systolith.compiler.codegen.program.UNITS`.
    """

    params: AcceleratorParams
    options: Options
    graph: Graph
    placement: Placement
    plans: Plans
    memory: Memory
    lowered: Lowered
    pong: Lowered | None
    content: "Content"
    needs: Mapping[str, int | bool]

    @property
    def schedule(self) -> Schedule:
        return self.placement.schedule


@dataclass(frozen=True, kw_only=True)
class Content:
    """What the memories hold: ``weights`` and ``channels``, where those of each layer lie
    (``bases``), the layers that are ``encoded`` and the ``segment_ends`` of their segments, and at
    which word each area begins, of ``words`` in all."""

    encoded: tuple[Layer, ...]
    segment_ends: frozenset[int]
    weights: Int8
    channels: Mapping[str, Int64]
    bases: list[Bases]
    areas: Mapping[Window, int]
    words: int


def compile_graph(graph: Graph, params: AcceleratorParams, keep: bool = False, batch: int = 1,
                  double_buffered: bool = False, compact: bool = False,
                  partition: bool = False) -> Program:
    """The :class:`Program` of ``graph`` for an accelerator of ``params``; the others are
    :class:`~systolith.compiler.options.Options`.

    Raises :exc:`ValueError` for what cannot run, and for a network that does not fit: every memory
    that is short, and by how much.
    """
    options = Options(keep=keep, batch=batch, double_buffered=double_buffered, compact=compact,
                      partition=partition)
    _check_host(graph, options)
    return _with_host(options, lambda cannot: _program(_checked_fit(
        run_phases(graph, params, options, cannot))))


def needs_of(graph: Graph, params: AcceleratorParams, keep: bool = False, batch: int = 1,
             double_buffered: bool = False, compact: bool = False,
             partition: bool = False) -> Mapping[str, int | bool]:
    """What ``graph`` takes of a build, as :attr:`Compilation.needs` has it.

    Raises :exc:`ValueError` for what cannot run, whatever the memories.
    """
    options = Options(keep=keep, batch=batch, double_buffered=double_buffered, compact=compact,
                      partition=partition)
    return _with_host(options, lambda cannot: run_phases(graph, params, options, cannot).needs)


def _with_host(options: Options, work: Callable[[Mapping[int, str]], Result]) -> Result:
    """What ``work`` gives, once all that the build cannot run is left to the host."""
    cannot: dict[int, str] = {}
    while True:
        try:
            return work(cannot)
        except CannotRun as error:
            if not options.partition or error.operator.index in cannot:
                raise
            cannot[error.operator.index] = error.reason


def _check_host(graph: Graph, options: Options) -> None:
    """Raise :exc:`ValueError` for operators of a runtime, unless the program is partitioned, and
    for states where nothing can keep them."""
    if graph.states and not options.partition:
        raise ValueError("the host has to keep the states of the network from one run to the next, "
                         "and nothing does so where it goes: "
                         + ", ".join(state.name for state in graph.states))
    foreign = [op.attributes for op in graph.operators
               if isinstance(op.attributes, Foreign)]
    if foreign and not options.partition:
        names = [f"{number} ({name})" for each in foreign
                 for number, name in zip(each.numbers, each.names, strict=True)]
        raise ValueError("a runtime on the host has to run a part of the network, and there is "
                         f"none where it goes: operators {', '.join(names)}")


def run_phases(graph: Graph, params: AcceleratorParams, options: Options,
               cannot: Mapping[int, str] | None = None) -> Compilation:
    """All phases but the last, which writes the program: each takes records, and gives one.

    The host runs what the build ``cannot``, by the numbers of operators.

    Raises :exc:`ValueError` for what cannot run, whatever the memories.
    """
    _check_build(graph, params)
    check_states(graph, options.batch)
    machine = Machine.of(params)
    graph = optimise(graph, options.keep)
    placement = place_tensors(schedule(graph, divide(graph, cannot)), params.word_bytes)
    plans = plan_layers(machine, placement, options)
    memory = assign_addresses(placement, plans, options)
    context = Context(graph=graph, machine=machine, regions=memory.regions, plans=plans,
                      fused_adds={}, images=options.batch, pooling=params.pooling)
    placement, memory = fuse_adds(context, params, placement, memory, options)
    context = replace(context, regions=memory.regions, fused_adds=placement.schedule.fused_adds)
    lowered = lower(context, placement, descriptor_words(params))
    if options.partition:
        _check_units(params, lowered)
    pong = _pong(context, placement, memory, lowered, params) if options.double_buffered else None
    content = _content(params, memory, lowered, pong)
    return Compilation(params=params, options=options, graph=graph, placement=placement,
                       plans=plans, memory=memory, lowered=lowered, pong=pong, content=content,
                       needs=_needs(params, memory, lowered, content))


def _check_build(graph: Graph, params: AcceleratorParams) -> None:
    if not isinstance(params, AcceleratorParams):
        raise TypeError(f"params must be AcceleratorParams, not {params!r}")
    if params.rounding not in {graph.rounding, "both"}:
        raise ValueError(f"the network needs the rounding {graph.rounding}, but the build has "
                         f"{params.rounding} alone: build it with that, or with both")


def _pong(context: Context, placement: Placement, memory: Memory, lowered: Lowered,
          params: AcceleratorParams) -> Lowered:
    """The same layers with the regions of the second run.

    Raises :exc:`ValueError` for a network that runs in several segments, or in none, or keeps
    states.
    """
    if context.graph.states:
        raise ValueError("runs cannot overlap: each is given the states that the one before it "
                         "leaves")
    segments = len(lowered.segment_ends)
    if segments != 1:
        raise ValueError("runs cannot overlap: the network runs in "
                         f"{segments} parts, with work of the host between them"
                         if segments else "runs cannot overlap: the host does all of them")
    return lower(replace(context, regions=memory.pong), placement, descriptor_words(params))


def _content(params: AcceleratorParams, memory: Memory, lowered: Lowered,
             pong: Lowered | None) -> Content:
    encoded, segment_ends = lowered.layers, set(lowered.segment_ends)
    if pong:
        encoded += pong.layers
        segment_ends.add(len(encoded))
    weights, channels, bases = gather(encoded, params.array.cols)
    areas, words = areas_of(params, {
        Window.ACTIVATIONS: memory.words, Window.WEIGHTS: len(weights),
        Window.PARAMS: len(channels["bias"]) * params.channel_words,
        Window.PROGRAM: (len(encoded) + len(segment_ends)) * descriptor_words(params)})
    return Content(encoded=encoded, segment_ends=frozenset(segment_ends), weights=weights,
                   channels=channels, bases=bases, areas=areas, words=words)


def _needs(params: AcceleratorParams, memory: Memory, lowered: Lowered,
           content: Content) -> dict[str, int | bool]:
    needs: dict[str, int | bool] = {"activation_bytes": content.words * params.word_bytes}
    if not params.single_memory:
        needs = {"activation_bytes": memory.words * params.word_bytes,
                 "weight_bytes": content.weights.size,
                 "channels": len(content.channels["bias"]),
                 "program_words": ((len(content.encoded) + len(content.segment_ends))
                                   * descriptor_words(params))}
    for name, least in _geometry(lowered.layers):
        needs[name] = max(needs.get(name, 0), least)
    used = {layer.unit for layer in lowered.layers}
    return needs | {unit: unit in used for unit in dict.fromkeys(UNITS.values())}


def _geometry(layers: Iterable[Layer]) -> Iterable[tuple[str, int]]:
    """What a single line of each convolution takes, by parameter."""
    for layer in layers:
        if layer.plan:
            yield from layer.plan.least.items()


def _check_units(params: AcceleratorParams, lowered: Lowered) -> None:
    """Raise :exc:`~systolith.compiler.partition.CannotRun` for layers whose unit a build lacks."""
    for layer in lowered.layers:
        if layer.unit is not None and not getattr(params, layer.unit):
            raise CannotRun(layer.operator, f"it needs the unit for {layer.unit}, which this build "
                            "does not have")


def _checked_fit(done: Compilation) -> Compilation:
    """Raise :exc:`ValueError` for units and memories that a build lacks."""
    params, needs = done.params, done.needs
    lacking = [unit.upper() for unit in dict.fromkeys(UNITS.values())
               if needs[unit] and not getattr(params, unit)]
    if lacking:
        raise ValueError(f"the network needs what this build does not have: {', '.join(lacking)}")
    short = [f"{name.replace('_', ' ')}: {need} are needed, {need - getattr(params, name)} more "
             f"than the {getattr(params, name)} of this build"
             for name, need in needs.items() if need > getattr(params, name)]
    if short:
        what = ("inputs and outputs do not fit twice; " if done.options.double_buffered
                else "the network does not fit; ")
        raise ValueError(what + "; ".join(short))
    return done


def _program(done: Compilation) -> Program:
    """The words of a program that fits."""
    params, content, memory = done.params, done.content, done.memory
    descriptors = encode(params, done.graph.rounding, content.encoded, content.segment_ends,
                         content.bases, content.areas)
    first = content.areas[Window.PROGRAM]
    steps = tuple(replace(step, start=step.start + first) if isinstance(step, Segment) else step
                  for step in done.lowered.steps)
    return Program(params=params, graph=done.graph, steps=steps, layers=done.lowered.layers,
                   descriptors=descriptors, weights=content.weights, channels=content.channels,
                   areas=content.areas, regions=memory.regions, inputs=done.plans.packed,
                   needs=done.needs, least_activations=memory.least * params.word_bytes,
                   keep=done.options.keep, images=done.options.batch, host=done.schedule.parts.host,
                   pong=memory.pong if done.pong else None)
