"""Whether what was placed and routed for a board runs networks as their runtime does."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from boards.board import Board
from boards.flow.bitstream import Bitstream
from rtl.accelerator import AcceleratorParams
from rtl.link import divisor_of
from sim.golden.types import Int8
from sim.placed.board import PlacedBoard, Wire, verilog_of
from sim.placed.netlist import read_placed
from systolith.compiler.fitting import shortages
from systolith.frontends.model_file import read_model
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.ir import Graph
from systolith.references.load import reference_of
from systolith.runtime.device import Device
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random import Chain, int8

__all__ = ["Case", "Proof", "case_of", "cases_for", "check_provable", "placed_board", "prove"]

#: Takes what is done now.
Say = Callable[[str], None]

#: Images of the digits network; small networks, and inputs of each.
IMAGES, NETWORKS, INPUTS = 3, 6, 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network as a file, and inputs for it: tuples of arrays."""

    name: str
    model: bytes
    inputs: Sequence[tuple[Int8, ...]]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What came out: ``compared`` bytes of outputs, of which ``differing`` are not the reference
    runtime's. ``cycles`` are those of the board, ``seconds`` what compiling and running took."""

    board: str
    netlist_hash: str
    networks: int
    compared: int
    differing: int
    cycles: int
    seconds: float

    @property
    def good(self) -> bool:
        return self.compared > 0 and not self.differing

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"good": self.good}


def cases_for(params: AcceleratorParams, networks: int = NETWORKS) -> list[Case]:
    """The digits network, where there is room for it, and small ``networks`` that a build runs."""
    cases = []
    if not shortages(read_model(model_bytes()), params):
        images = held_out().images[:IMAGES]
        cases = [Case(name="digits", model=model_bytes(), inputs=[(x[None],) for x in images])]
    fitting = (case for seed in count() if (case := _small_case(params, seed)) is not None)
    return [*cases, *islice(fitting, networks)]


def case_of(path: Path, params: AcceleratorParams) -> Case:
    """A network of a file, on inputs of noise.

    Raises :exc:`ValueError` for one that does not fit ``params``.
    """
    data = path.read_bytes()
    graph, rng = read_model(data), np.random.default_rng(0)
    if short := shortages(graph, params):
        raise ValueError(f"{path} does not fit: {'; '.join(each.text for each in short)}")
    shapes = [graph.tensors[index].shape for index in graph.inputs]
    return Case(name=path.name, model=data, inputs=[
        tuple(int8(rng, shape) for shape in shapes) for _ in range(INPUTS)])


def _small_case(params: AcceleratorParams, seed: int) -> Case | None:
    """A random network of a ``seed``, or None if a build does not run it."""
    rng = np.random.default_rng(seed)
    graph = _small(rng)
    if shortages(graph, params):
        return None
    shapes = [graph.tensors[index].shape for index in graph.inputs]
    return Case(name=f"random network {seed}", model=write_tflite(graph), inputs=[
        tuple(int8(rng, shape) for shape in shapes) for _ in range(INPUTS)])


def _small(rng: np.random.Generator) -> Graph:
    chain = Chain(rng)
    steps = [chain.conv, chain.depthwise, chain.average_pool, chain.relu6, chain.pad]
    for _ in range(chain.integer(1, 3)):
        steps[chain.integer(0, len(steps) - 1)]()
    return chain.graph()


def check_provable(board: Board) -> None:
    """Raise :exc:`ValueError` for a board with pins that nothing here drives."""
    if board.link != "uart":
        raise ValueError(f"{board.name} has a link by {board.link.upper()}; only netlists of "
                         "boards with a UART can be simulated from their pins")
    if board.params.sdram_bits:
        raise ValueError(f"{board.name} has SDRAM, for whose pads there is no model; netlists of "
                         "boards without it can be simulated")


def placed_board(board: Board, built: Bitstream, *, seed: int = 1) -> PlacedBoard:
    """``board`` from the netlist of ``built``, compiled.

    Raises :exc:`ValueError` as of :func:`check_provable`, and
    :exc:`~sim.placed.netlist.UnknownCell` for a netlist with cells that have no model.
    """
    check_provable(board)
    number = 1 if board.pins else 0
    rx, tx = (Wire(port=f"uart_{number}__{name}__io") for name in ("rx", "tx"))
    led = None  # without an LED that says so, the board never seems to be at rest
    if board.led:
        led = Wire(port="led_0__io", inverted=board.platform_class()().lookup("led").ios[0].invert)
    verilog = verilog_of(read_placed(built.placed), board.family, {"rx": rx},
                         {"tx": tx, "done": led})
    hz = round(built.clock_mhz * 1e6)
    return PlacedBoard(verilog, board.family, divisor=divisor_of(hz, board.baud), hz=hz, seed=seed)


def prove(board: Board, built: Bitstream, cases: Sequence[Case] | None = None, *, seed: int = 1,
          say: Say = lambda text: None) -> Proof:
    """Run ``cases`` over the pins of what was placed and routed, and compare every byte of the
    outputs with the reference runtime's."""
    began = time.perf_counter()
    say("compiling the placed netlist")
    simulated = placed_board(board, built, seed=seed)
    device = Device(SimulatedPipe(simulated))
    cases = cases_for(device.params) if cases is None else cases
    compared = differing = 0
    for case in cases:
        say(f"{case.name} over the pins of {board.title}")
        for got, want in _results(device, case):
            compared += want.size
            differing += int((got != want).sum())
    return Proof(board=board.name, netlist_hash=built.netlist_hash, networks=len(cases),
                 compared=compared, differing=differing, cycles=simulated.cycle,
                 seconds=round(time.perf_counter() - began, 1))


def _results(device: Device, case: Case) -> Iterator[tuple[Int8, Int8]]:
    """Pairs of outputs: those of the board, and those of the reference runtime."""
    from systolith.compiler import compile_graph

    graph, reference = read_model(case.model), reference_of(case.model)
    device.load(compile_graph(graph, device.params))
    for inputs in case.inputs:
        run = device.run(*inputs)
        wanted = reference.run(*inputs)
        yield from zip((run.values[index] for index in graph.outputs), wanted, strict=True)
