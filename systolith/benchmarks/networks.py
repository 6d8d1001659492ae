"""Whole networks on the builds of boards, at the clocks that place and route gave them."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.board import Board
from boards.flow.clocks import Clock, read_clocks, stale
from rtl.wording import counted
from systolith.benchmarks.anchors import ANCHORS, Anchor, network_of
from systolith.benchmarks.wire import CountedAccelerator, uart_seconds
from systolith.compiler.fitting import shortages
from systolith.frontends.model_file import read_model
from systolith.graph.ir import Graph
from systolith.runtime.input_files import noise
from systolith.runtime.session import Session
from systolith.zoo.digits import model_bytes

__all__ = ["Figures", "Network", "Refusal", "bench_networks", "networks"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, and what to call it."""

    name: str
    graph: Graph


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A network on a board.

    ``cycles`` are those of the simulated RTL of the board's build from go to done;
    ``floor_cycles`` those that the products alone would take; ``per_second`` has inferences with
    the input resident, ``link_per_second`` those over the board's UART, by a program whose inputs
    are compact, in ``link_cycles``, without what the computer at its other end takes. Both are None
    without a clock that is on record and met; ``problem`` says why. Over SPI the other end gives
    the clock, and asks when it likes: there ``wire_seconds`` and ``link_per_second`` are None.
    """

    network: str
    board: str
    products: int
    cycles: int
    floor_cycles: int
    link_cycles: int
    wire_seconds: float | None
    overlapped: bool
    clock: Clock | None = None
    problem: str = ""

    @property
    def utilisation(self) -> float:
        return self.floor_cycles / self.cycles

    @property
    def clock_mhz(self) -> float | None:
        return None if self.clock is None else self.clock.clock_mhz

    @property
    def per_second(self) -> float | None:
        if self.problem or self.clock is None:
            return None
        return self.clock.clock_mhz * 1e6 / self.cycles

    @property
    def link_per_second(self) -> float | None:
        if self.problem or self.clock is None or self.wire_seconds is None:
            return None
        computing = self.link_cycles / (self.clock.clock_mhz * 1e6)
        return 1 / (max(computing, self.wire_seconds) if self.overlapped
                    else computing + self.wire_seconds)

    @property
    def link_problem(self) -> str:
        """Why there is no rate over the link, besides :attr:`problem`; empty if there is one."""
        return "no rate over SPI, whose clock the other end gives" * (self.wire_seconds is None)

    def ratios(self) -> list[tuple[Anchor, float]]:
        """(anchor, how many times as fast) for each that has published this network. Cycles can be
        compared without a clock."""
        found = [(anchor, anchor.ratio(self.network, self.cycles, self.per_second))
                 for anchor in ANCHORS]
        return [(anchor, ratio) for anchor, ratio in found if ratio is not None]

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            "network": self.network, "board": self.board, "products": self.products,
            "cycles": self.cycles, "floor_cycles": self.floor_cycles,
            "utilisation": self.utilisation, "clock_mhz": self.clock_mhz,
            "inferences_per_s": self.per_second, "link_inferences_per_s": self.link_per_second,
            "link_problem": self.link_problem,
            "seeds": {} if self.clock is None else dict(
                zip(map(str, self.clock.seeds), self.clock.mhz, strict=True)),
            "netlist_hash": self.clock and self.clock.netlist_hash,
            "tools": self.clock and self.clock.tools, "problem": self.problem,
            "ratios": {anchor.title: ratio for anchor, ratio in self.ratios()},
        }


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A network that a board does not run, and why; ``problem`` is that of the board's clock, as of
    :class:`Figures`."""

    network: str
    board: str
    text: str
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {"network": self.network, "board": self.board,
                "problem": "; ".join(filter(None, [f"does not run: {self.text}", self.problem]))}


def networks(paths: Iterable[str | Path]) -> list[Network]:
    """The digits network, and those at ``paths``."""
    found = [Network(name="digits", graph=read_model(model_bytes()))]
    for path in map(Path, paths):
        graph = read_model(path)
        name = network_of(hashlib.sha256(path.read_bytes()).hexdigest(), path.stem)
        found.append(Network(name=name, graph=graph))
    return found


def bench_networks(chosen: Sequence[Network], boards: Iterable[Board],
                   progress: Callable[[str], None] = lambda text: None) -> list[Figures | Refusal]:
    """:class:`Figures`, or a :class:`Refusal`, of each of the networks ``chosen`` on each board.

    Builds that boards share are simulated once.
    """
    clocks, measured = read_clocks(), {}
    found: list[Figures | Refusal] = []
    for board in boards:
        progress(f"{board.name}: its clock")
        clock = clocks.get(board.name)
        problem = _problem(clock, board)
        for network in chosen:
            progress(f"{board.name}: {network.name}")
            key = board.params, board.params.sdram_bits and (board.sdram, board.mhz), network.name
            if key not in measured:
                measured[key] = _measure(network, board)
            outcome = measured[key]
            if isinstance(outcome, str):
                found.append(Refusal(network=network.name, board=board.name, text=outcome,
                                     problem=problem))
                continue
            resident, linked = outcome
            products = board.params.products
            found.append(Figures(
                network=network.name, board=board.name, products=products, cycles=resident.cycles,
                floor_cycles=-(-resident.macs // products), link_cycles=linked.cycles,
                wire_seconds=linked.seconds(board.baud) if board.link == "uart" else None,
                overlapped=linked.overlapped, clock=clock, problem=problem))
    return found


def _problem(clock: Clock | None, board: Board) -> str:
    if clock is None:
        return "no clock on record"
    if why := stale(clock, board):
        return f"the clock on record is stale: {why}"
    if not clock.met:
        return (f"timing is not met at {clock.clock_mhz:g} MHz: Fmax is {clock.median:g} MHz, the "
                f"median of {counted(len(clock.seeds), 'seed')}")
    return ""


@dataclass(frozen=True, kw_only=True)
class _Inference:
    """One in simulation; ``seconds`` tells what its bytes take at a baud rate."""

    cycles: int
    macs: int
    overlapped: bool
    bytes_out: int
    bytes_in: int

    def seconds(self, baud: int) -> float:
        return uart_seconds(self.bytes_out, self.bytes_in, baud)


def _measure(network: Network, board: Board) -> str | tuple[_Inference, _Inference]:
    """An inference with the input as is best for cycles, and one with it compact, as links have it;
    or why there can be none."""
    try:
        short = shortages(network.graph, board.params)
    except ValueError as error:
        return str(error)
    if short:
        return "; ".join(each.text for each in short)
    sim = CountedAccelerator(board.params, chip=board.sdram, mhz=board.mhz)
    try:
        return _infer(network, sim, False), _infer(network, sim, True)
    finally:
        sim.close()


def _infer(network: Network, sim: CountedAccelerator, compact: bool) -> _Inference:
    sim.compact = compact
    session = Session(network.graph, sim)
    sim.clear()
    session.run(*noise(session.inputs, 1))
    assert session.program is not None  # as the golden models alone run none
    return _Inference(cycles=session.cycles, macs=session.program.macs,
                      overlapped=not session.alone, bytes_out=sim.bytes_out,
                      bytes_in=sim.bytes_in)
