"""A quantised network on many inputs, in several processes at once."""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from rtl.accelerator import AcceleratorParams
from sim.golden.types import Float32
from systolith.quantisation.calibration import Examples
from systolith.runtime.session import Session
from systolith.runtime.target import Target

__all__ = ["Simulation", "results"]

#: Inputs that a process takes at a time.
PORTION = 8

Inputs = Mapping[str, Float32]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The simulated accelerator of a build: ``sdram`` is what
    :class:`~systolith.runtime.simulated_accelerator.SimulatedAccelerator` takes besides."""

    params: AcceleratorParams
    sdram: Mapping[str, Any] = field(default_factory=dict)

    def target(self) -> Target:
        from systolith.runtime.simulated_accelerator import SimulatedAccelerator

        return SimulatedAccelerator(self.params, **self.sdram)


class _Worker:
    """A network on its target, for one process; :data:`WORKER` is that of this one."""

    def __init__(self, model: Path, target: str | Simulation | Target) -> None:
        made = target.target() if isinstance(target, Simulation) else target
        self.session = Session(model, made)

    def run(self, portion: Sequence[Inputs]) -> list[Float32]:
        """Real outputs (n, ...) for real inputs of one image each."""
        inputs = [np.concatenate([each[tensor.name] for each in portion])
                  for tensor in self.session.inputs]
        outputs = self.session.run(*inputs, real=True)
        return list(outputs) if isinstance(outputs, tuple) else [outputs]


WORKER: list[_Worker] = []


def _begin(model: Path, target: str | Simulation) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for these
    WORKER[:] = [_Worker(model, target)]


def _run(portion: Sequence[Inputs]) -> list[Float32]:
    return WORKER[0].run(portion)


def results(model: Path, target: str | Simulation | Target, examples: Examples, jobs: int,
            step: Callable[[str], None]) -> list[Float32]:
    """The outputs (n, ...) of a model in a file, as real numbers, for all of the ``examples``.

    ``target`` is ``"golden"``, a :class:`Simulation`, or a :class:`Target`, which is one and so
    takes one of the ``jobs``; these are processes. ``step`` is told of each portion.

    Raises :exc:`RuntimeError` if a process is ended from outside.
    """
    done: list[list[Float32]] = []
    for outputs in _outcomes(model, target, examples, jobs):
        step(f"input {min(len(done) * PORTION + 1, len(examples))} of {len(examples)}")
        done.append(outputs)
    return [np.concatenate(each) for each in zip(*done, strict=True)]


def _outcomes(model: Path, target: str | Simulation | Target, examples: Examples,
              jobs: int) -> Iterator[list[Float32]]:
    firsts = range(0, len(examples), PORTION)
    jobs = min(jobs, len(firsts))
    if jobs <= 1 or not isinstance(target, (str, Simulation)):
        worker = _Worker(model, target)
        for first in firsts:
            yield worker.run(examples[first:first + PORTION])
        return
    # A fork would take over threads of onnxruntime, but not what they hold.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (model, target))
    waiting: deque[Future[list[Float32]]] = deque()
    try:
        for first in firsts:
            waiting.append(pool.submit(_run, examples[first:first + PORTION]))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RuntimeError("a process that ran the network was ended from outside, perhaps for "
                           "want of memory: give fewer --jobs") from error
    finally:
        pool.shutdown(cancel_futures=True)
