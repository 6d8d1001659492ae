"""What the driver does about faults: scenarios on the virtual board, each with its outcome."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from sim.golden.types import Int8
from sim.virtual_board import VirtualBoard
from systolith.compiler import Program, compile_graph
from systolith.compiler.fitting import small_build
from systolith.frontends.tflite import read_tflite
from systolith.graph.interpreter import run_graph
from systolith.runtime.device import Device
from systolith.runtime.link import LinkError
from systolith.runtime.link.faults import KINDS, FaultyPipe
from systolith.runtime.link.simulated import SimulatedPipe
from systolith.runtime.target import RunError
from systolith.zoo.digits import held_out, model_bytes

__all__ = ["Outcome", "SCENARIOS", "run_campaign"]

#: Seconds of the board's time after which a scenario counts as a hang, and is ended.
LONGEST = 1200.0
#: When in an upload and a run something happens: the last is while the array computes.
PLACES = 0.01, 0.3, 0.7, 0.975


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Images on a board behind a pipe with faults.

    ``event`` happens after the share ``place`` of the time that all takes undisturbed.
    ``must`` says how it has to end: ``"right"``, ``"error"``, or None for either.
    """

    name: str
    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    event: str | None = None
    place: float = 0.5
    must: str | None = "right"


SCENARIOS = (
    Scenario(name="no fault"),
    *(Scenario(name=f"1 in {round(1 / rate)}: any", rate=rate, must=must)
      for rate, must in ((1e-4, "right"), (1e-3, "right"), (1e-2, None))),
    *(Scenario(name=f"1 in 500: {kind}", rate=2e-3, kinds=(kind,)) for kind in KINDS),
    Scenario(name="garbage at start", event="garbage", place=0.0),
    *(Scenario(name=f"reset at {place:.0%}", event="reset", place=place) for place in PLACES),
    *(Scenario(name=f"port gone at {place:.0%}", event="pull", place=place, must="error")
      for place in PLACES),
    *(Scenario(name=f"silence from {place:.0%}", event="hush", place=place, must="error")
      for place in PLACES),
    Scenario(name="program of another build", event="other", must="error"),
    Scenario(name="resets without end", event="resets", must="error"),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a scenario ended: ``end`` is ``"right"``, ``"error"``, ``"wrong"`` or ``"hang"``."""

    name: str
    end: str
    expected: bool
    word: str = ""
    bytes: int = 0
    faults: int = 0
    retries: int = 0
    seconds: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)


def run_campaign(board: VirtualBoard | None = None, *, scenarios: Iterable[Scenario] = SCENARIOS,
                 seed: int = 0, images: int = 1,
                 step: Callable[[str], None] | None = None) -> Iterator[Outcome]:
    """An :class:`Outcome` of each scenario, one after the other, on one board."""
    board = board or VirtualBoard(small_build(4, 4))
    graph = read_tflite(model_bytes())
    program = compile_graph(graph, board.params, double_buffered=True)
    x = held_out().images[:images]
    want = run_graph(graph, x)[graph.outputs[0]]
    length = None  # seconds of a conversation, from the scenario without faults
    for number, scenario in enumerate(scenarios):
        if step:
            step(scenario.name)
        outcome = _play(board, scenario, f"{seed}/{number}", program, x, want, length or 0.04)
        length = length or outcome.seconds
        yield outcome


def _play(board: VirtualBoard, scenario: Scenario, seed: str, program: Program, x: Int8, want: Int8,
          length: float) -> Outcome:
    board.reset()  # it has no program then
    clean = SimulatedPipe(board)
    pipe = FaultyPipe(clean, scenario.rate, seed, scenario.kinds)
    began, device, word = clean.now(), None, ""
    actions = {"reset": board.reset, "pull": pipe.pull, "hush": pipe.hush,
               "garbage": lambda: board.push(bytes(range(256)) * 2), "resets": board.reset}
    if scenario.event in actions:
        places = [scenario.place] if scenario.event != "resets" else [
            0.1 + 0.2 * n for n in range(500)]
        for place in places:
            pipe.at(began + place * length, actions[scenario.event])
    pipe.at(began + LONGEST, _hang)
    try:
        device = Device(pipe, seed=seed)
        device.load(compile_graph(program.graph, small_build(4, 8)) if scenario.event == "other"
                    else program)
        runs = []
        for run in device.run_many([(image[None],) for image in x]):
            if isinstance(run, RunError):
                raise run
            runs.append(run)
        got = np.concatenate([run.values[program.graph.outputs[0]] for run in runs])
        end = "right" if (got == want).all() else "wrong"
    except LinkError as error:
        end, word = "error", str(error)
    except RunError as error:  # of the accelerator, which no fault of the pipe excuses
        end, word = "wrong", str(error)
    except TimeoutError:
        end = "hang"
    return Outcome(
        name=scenario.name, end=end, word=word, bytes=pipe.bytes,
        expected=end in ({"right", "error"} if scenario.must is None else {scenario.must}),
        faults=sum(pipe.faults.values()) + (scenario.event is not None),
        retries=device.channel.counts.retries if device else 0, seconds=clean.now() - began,
        kinds=dict(pipe.faults))


def _hang() -> NoReturn:
    raise TimeoutError
