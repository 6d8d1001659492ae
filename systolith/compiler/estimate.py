"""What a network asks of a build, before anything is synthesised or simulated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

from rtl.accelerator import AcceleratorParams
from systolith.compiler import Program, Segment
from systolith.compiler.choice import program_of
from systolith.compiler.cost.layer_cycles import LayerCycles
from systolith.compiler.cost.layers import CycleModel
from systolith.compiler.cost.machine import Machine
from systolith.compiler.cuts import crossing, cuts_of, transfer_bytes
from systolith.compiler.fitting import Shortage, fit, shortages
from systolith.graph.attributes import Foreign
from systolith.graph.ir import Graph, Operator

__all__ = ["Check", "HostStep", "OperatorCheck", "check"]


@dataclass(frozen=True, kw_only=True)
class OperatorCheck:
    """One operator. ``where`` is ``"accelerator"``, ``"host"``, ``"nowhere"`` if it is no work, or
    ``"with operator N"`` if it takes place in that one, beside what it loads before; ``bound`` says
    what most of the cycles are spent on, as of
    :class:`systolith.compiler.cost.layer_cycles.LayerCycles`. ``moved_bytes`` are those
    that an operator which but moves numbers copies: 0 where addressing does, None of all others.
    """

    index: int
    operator: str
    shape: tuple[int, ...]
    where: str
    macs: int = 0
    cycles: int = 0
    utilisation: float = 0.0
    weight_bytes: int = 0
    activation_bytes: int = 0
    moved_bytes: int | None = None
    bound: str = ""


@dataclass(frozen=True, kw_only=True)
class HostStep:
    """What the host runs at a time: operators by their ``numbers`` and ``names``, and why.

    ``bytes`` cross between host and accelerator for that; there would be ``cuts`` segments fewer if
    the accelerator ran it.
    """

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    reason: str
    bytes: int
    cuts: int
    macs: int = 0

    @classmethod
    def of(cls, program: Program, operator: Operator) -> Self:
        foreign = operator.attributes if isinstance(operator.attributes, Foreign) else None
        return cls(numbers=foreign.numbers if foreign else (operator.index,),
                   names=foreign.names if foreign else (operator.kind,),
                   macs=foreign.macs if foreign else 0, reason=program.host[operator.index],
                   bytes=crossing(program, operator), cuts=cuts_of(program, operator))


@dataclass(frozen=True, kw_only=True)
class Check:
    """What :func:`check` finds. ``short`` are :class:`~systolith.compiler.fitting.Shortage`;
    ``needs`` and ``have`` are by parameter; ``build`` is what cycles are counted for: the one asked
    about, or, where that is too small, one that is large enough.

    ``states`` are the bytes that the host keeps from one run to the next, by their names.
    ``segments`` are the parts that run on the accelerator, ``host`` what the host runs between,
    before and after them. ``transfer_bytes`` are those that the host writes and reads in a run.
    ``alone`` says why they are not moved during runs, and is empty if they are.
    """

    operators: list[OperatorCheck]
    short: list[Shortage]
    needs: Mapping[str, int | bool]
    have: Mapping[str, int | bool]
    build: AcceleratorParams
    cycles: int
    macs: int
    floor: int
    transfer_bytes: int
    alone: str
    states: Mapping[str, int]
    segments: int
    host: list[HostStep]
    mhz: float | None = None

    @property
    def mac_share(self) -> float:
        """The share of the network's MACs that the accelerator does."""
        total = self.macs + sum(step.macs for step in self.host)
        return self.macs / total if total else 1.0

    @property
    def utilisation(self) -> float:
        return self.floor / self.cycles if self.cycles else 0.0

    @property
    def per_second(self) -> float | None:
        """Inferences, without the transfer of input and output and what runs on the host; None if
        it does not fit, as a larger build has another clock."""
        if not self.mhz or not self.cycles or self.short:
            return None
        return self.mhz * 1e6 / self.cycles

    def as_dict(self) -> dict[str, Any]:
        array = self.build.array
        return {
            "fits": not self.short,
            "short": [{**asdict(each), "text": each.text} for each in self.short],
            "needs": self.needs, "have": self.have,
            "build": {"rows": array.rows, "cols": array.cols, "fir_rows": array.fir_rows,
                      "drain_lanes": self.build.drain_lanes, "requantize": self.build.requantize},
            "operators": [asdict(each) for each in self.operators],
            "cycles": self.cycles, "macs": self.macs, "floor": self.floor,
            "utilisation": self.utilisation, "transfer_bytes": self.transfer_bytes,
            "transfers_during_runs": not self.alone, "segments": self.segments,
            "states": dict(self.states),
            "mac_share": self.mac_share, "host": [asdict(each) for each in self.host],
            "mhz": self.mhz, "inferences_per_second": self.per_second,
        }


def check(graph: Graph, params: AcceleratorParams, *, mhz: float | None = None) -> Check:
    """The :class:`Check` of ``graph`` on a build of ``params``.

    Raises :exc:`ValueError` for a network that no build of that array runs.
    """
    try:
        program, short, build = program_of(graph, params), [], params
    except ValueError:
        short, build = shortages(graph, params), fit(graph, params)
        program = program_of(graph, build)
    model = CycleModel(Machine.of(build))
    products = build.products
    runs = [program.layers[step.first:step.first + step.layers]
            for step in program.steps if isinstance(step, Segment)]
    cycles = sum(map(model.run, runs))
    expected = [each for run in runs for each in model.layers(run)]
    ends = {*program.graph.inputs, *program.graph.outputs,
            *(tensor for op in program.rest for tensor in (*op.inputs, *op.outputs))}
    return Check(
        operators=[_operator(program, expected, products, each) for each in graph.operators],
        short=short, needs=program.needs, build=build,
        have={name: getattr(params, name) for name in program.needs}, cycles=cycles,
        macs=program.macs, floor=-(-program.macs // products), mhz=mhz,
        alone=_alone(graph, params), segments=len(program.segments),
        states={state.name: state.initial.nbytes for state in graph.states},
        host=[HostStep.of(program, op) for op in program.rest],
        transfer_bytes=sum(transfer_bytes(program, index) for index in ends))


def _alone(graph: Graph, params: AcceleratorParams) -> str:
    try:
        return "; ".join(each.text for each in shortages(graph, params, double_buffered=True))
    except ValueError as error:
        return str(error)


def _operator(program: Program, expected: Sequence[LayerCycles], products: int,
              operator: Operator) -> OperatorCheck:
    layers = [layer for layer in program.layers if layer.operator.index == operator.index]
    y = program.graph.result(operator)
    name = (" + ".join(operator.attributes.names) if isinstance(operator.attributes, Foreign)
            else operator.kind)
    result = partial(OperatorCheck, index=operator.index, operator=name, shape=y.shape[1:])
    moves = operator.record.moves is not None or operator.record.parts is not None
    if operator.index in {each.index for each in program.rest}:
        return result(where="host", moved_bytes=math.prod(y.shape) if moves else None)
    stored = transfer_bytes(program, operator.outputs[0])
    if not layers:
        return result(where="nowhere", activation_bytes=stored, moved_bytes=0 if moves else None)
    fused_into = program.fused_into.get(operator.index)
    where = "accelerator" if fused_into is None else f"with operator {fused_into}"
    cycles = [each for layer, each in zip(program.layers, expected, strict=True)
              if layer.operator.index == operator.index]
    macs, total = sum(layer.macs for layer in layers), sum(each.cycles for each in cycles)
    return result(
        where=where, macs=macs, cycles=total, utilisation=macs / products / total,
        weight_bytes=sum(layer.weights.size for layer in layers), activation_bytes=stored,
        moved_bytes=sum(layer.moved for layer in layers) if moves else None,
        bound=max(cycles, key=lambda each: each.cycles).bound)
