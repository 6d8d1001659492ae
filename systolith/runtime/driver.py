"""What drives an accelerator, however commands reach it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rtl.accelerator import AcceleratorParams
from rtl.accelerator.control.fingerprint import fingerprint
from rtl.accelerator.registers import Error, Register, Window
from rtl.layouts import ChannelParams
from sim.golden.types import Int8
from sim.packing import pack
from systolith.compiler import Program, Segment, input_words
from systolith.graph.interpreter import results_of
from systolith.runtime.overlap import Pause, Work, finish, outcome_of, overlapped
from systolith.runtime.target import Run, RunError, Values
from systolith.runtime.transfers import (
    Addresses,
    Pending,
    Words,
    Write,
    address_of,
    addresses_of,
    tensor_of,
    write_of,
)

__all__ = ["AcceleratorDriver"]


@dataclass(frozen=True, kw_only=True)
class _Cycles:
    """Of a segment: in all, and of each of its layers."""

    total: int
    layers: list[int]


class AcceleratorDriver(ABC):
    """Loads and runs programs by commands: a :class:`~systolith.runtime.target.Target`.

    Commands are done in order. What is asked for may arrive later: so a run on a board costs one
    trip there and back, if no operator runs on the host in between.

    Attributes
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`
    program : :class:`~systolith.compiler.Program` or None
        The one that is loaded.
    compact : :class:`bool`
        A byte of an input takes longer to send than to compute.
    """

    compact = False
    params: AcceleratorParams
    program: Program | None = None
    _turn: object = None  #: What identifies several runs that are not all done.

    @abstractmethod
    def post_write(self, address: int, words: Words) -> None:
        """Write 32-bit words to ascending addresses."""

    @abstractmethod
    def post_read(self, addresses: Addresses) -> Pending[Words]:
        """Ask for words, one from each address."""

    @abstractmethod
    def post_wait(self) -> None:
        """Let what follows wait until nothing runs."""

    def write(self, window: Window, rows: np.ndarray, base: int = 0) -> None:
        """Write rows of bytes, or of words, from word ``base`` of a memory on."""
        if len(rows):
            self.post_write(*write_of(self.params, window, rows, base))

    def command(self, register: Register, value: int) -> None:
        """Write a register."""
        self.post_write(address_of(Window.REGISTERS, register), np.array([value], "<u4"))

    def read(self, register: Register) -> int:
        """The value of a register."""
        return int(self.post_read(address_of(Window.REGISTERS, np.array([register])))()[0])

    @staticmethod
    def writes_of(program: Program) -> list[Write]:
        """What a program is in memories, behind the fingerprint of the build that it is for, which
        another one refuses."""
        parts: list[tuple[Window, np.ndarray]] = [
            (Window.PROGRAM, program.descriptors[:, None]), (Window.WEIGHTS, program.weights),
            (Window.PARAMS, pack(ChannelParams, program.channels))]
        return [Write(address_of(Window.REGISTERS, Register.FINGERPRINT),
                      np.array([fingerprint(program.params)], np.uint32)),
                *(write_of(program.params, window, rows, program.areas[window])
                  for window, rows in parts if len(rows))]

    def load(self, program: Program) -> None:
        """Write a program that was compiled for this build."""
        self.program, self._turn = program, None
        for address, words in self.writes_of(program):
            self.post_write(address, words)

    def run(self, *inputs: Int8) -> Run:
        """Results of inputs (n, ...), as many as the program takes at a time: every tensor that is
        still in memory at the end.

        Raises :exc:`~systolith.runtime.target.RunError` if the accelerator stops with an error.
        """
        program = self._loaded()
        _check(program, inputs)
        self._turn = None
        return finish(self._work(program, inputs))

    def run_many(self, inputs: Iterable[Sequence[Int8]],
                 first: int = 0) -> Iterator[Run | RunError]:
        """Yields the results of several runs in their order: a
        :class:`~systolith.runtime.target.Run` for each of ``inputs``, tuples as :meth:`run` takes
        them, or the
        :exc:`~systolith.runtime.target.RunError` of one that failed, whose ``index`` counts from
        ``first``.

        If the program has a twin, the inputs of the next run are written, and the results of the
        last one read, while the accelerator computes. Nothing else may run before the last result.
        """
        inputs, program = list(inputs), self._loaded()
        for each in inputs:
            _check(program, each)
        self._turn = turn = object()
        programs = program.variants
        works = [self._work(programs[n % len(programs)], each) for n, each in enumerate(inputs)]
        outcomes = map(outcome_of, works) if len(programs) == 1 else overlapped(works)
        for index, outcome in enumerate(outcomes, first):
            if isinstance(outcome, RunError):
                outcome.index = index
            yield outcome
            if self._turn is not turn:
                raise RuntimeError(f"another run began when {index + 1 - first} of {len(inputs)} "
                                   "were done: the others are lost")

    def _loaded(self) -> Program:
        if self.program is None:
            raise RuntimeError("no program is loaded: load one before it is to run")
        return self.program

    def _work(self, program: Program, inputs: Sequence[Int8]) -> Work:
        """A run, which does nothing before it is asked for its first pause."""
        values = {tensor: x.reshape(-1, *program.graph.tensors[tensor].shape[1:])
                  for tensor, x in zip(program.graph.inputs, inputs, strict=True)}
        for tensor, x in values.items():
            self._put(program, tensor, x)
        asked: list[Pending[_Cycles]] = []
        done: list[_Cycles] = []
        for step in program.steps:
            if isinstance(step, Segment):
                yield Pause.WRITTEN
                self.command(Register.GO, step.start)
                yield Pause.STARTED
                asked.append(self._end(step))
                yield Pause.AWAITED
                continue
            done += [wait() for wait in asked]
            asked = []
            values |= self._tensors(program, (tensor for tensor in step.inputs if tensor not in
                                              values and tensor in program.regions))()
            found = results_of(program.graph, step, values)
            values |= found
            for tensor, x in found.items():
                self._put(program, tensor, x)
        wanted = program.regions if program.keep else dict.fromkeys(program.graph.outputs)
        results = self._tensors(program, (tensor for tensor in wanted if tensor not in values))
        done += [wait() for wait in asked]
        values |= results()
        yield Run(values=values, cycles=sum(each.total for each in done),
                  layer_cycles=[cycles for each in done for cycles in each.layers])

    def _put(self, program: Program, tensor: int, x: Int8) -> None:
        """Write a tensor, if the accelerator has a place for it."""
        if tensor not in program.regions:
            return
        region, words = program.regions[tensor], input_words(program, tensor, x)
        apart = tensor not in program.inputs and region.height * region.line_step != region.words
        for image, part in enumerate(np.split(words, program.images) if apart else [words]):
            self.write(Window.ACTIVATIONS, part, region.base + image * region.words)

    def _end(self, segment: Segment) -> Pending[_Cycles]:
        """Wait for the end of a segment, and ask how it ended.

        What is pending raises :exc:`~systolith.runtime.target.RunError` if that was an error.
        """
        self.post_wait()
        registers = self.post_read(address_of(
            Window.REGISTERS, np.array([Register.STATUS, Register.CYCLES])))
        layers = self.post_read(address_of(Window.CYCLES, np.arange(segment.layers)))

        def wait() -> _Cycles:
            status, cycles = registers().tolist()
            if error := Error(status >> 8 & 0xff):
                raise RunError(
                    f"the accelerator stopped at layer {segment.first + (status >> 16)}: "
                    f"{error.name} ({error.text})")
            return _Cycles(total=cycles, layers=layers().tolist())

        return wait

    def attempt(self, address: int = 0) -> Error:
        """Run the program at that word of its memory, and tell how it ended: an :class:`Error`."""
        self._turn = None
        self.command(Register.GO, address)
        self.post_wait()
        return Error(self.read(Register.STATUS) >> 8 & 0xff)

    def layer_cycles(self, count: int) -> list[int]:
        """Cycles of each of the first ``count`` layers of the last run."""
        return self.post_read(address_of(Window.CYCLES, np.arange(count)))().tolist()

    def tensor(self, index: int) -> Int8:
        """A tensor that is in memory."""
        return self._tensors(self._loaded(), [index])()[index]

    def _tensors(self, program: Program, indices: Iterable[int]) -> Pending[Values]:
        """Ask for tensors, by index."""
        asked = {}
        for index in indices:
            place = program.regions[index]
            shape = program.graph.tensors[index].shape[1:]
            addresses = [addresses_of(place.at(image * place.words))
                         for image in range(program.images)]
            asked[index] = place, shape, self.post_read(np.concatenate(addresses))
        return lambda: {index: tensor_of(place, shape, words())
                        for index, (place, shape, words) in asked.items()}


def _check(program: Program, inputs: Sequence[Int8]) -> None:
    for x in inputs:
        if len(x) != program.images:
            raise ValueError(f"the program takes {program.images} images at a time, not {len(x)}")
