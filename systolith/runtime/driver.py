"""What drives an accelerator, however commands reach it."""

from abc import ABC, abstractmethod

import numpy as np

from rtl.accelerator.control.host_port import chunks_of
from rtl.accelerator.memories import memories_of
from rtl.accelerator.registers import OFFSET_BITS, Error, Register, Window
from rtl.layouts import ChannelParams
from sim.packing import pack
from systolith.compiler import Segment, input_words
from systolith.graph.interpreter import run_operator
from systolith.runtime.target import Run, RunError

__all__ = ["AcceleratorDriver"]


class AcceleratorDriver(ABC):
    """Loads and runs programs by commands: a :class:`~systolith.runtime.target.Target`.

    Commands are done in order. What is asked for may arrive later: so a run on a board costs one
    trip there and back, if no operator runs on the host in between.

    Attributes
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`
    program : :class:`~systolith.compiler.Program` or None
        The one that is loaded.
    """

    params = program = None
    _turn = None  #: What identifies several runs that are not all done.

    @abstractmethod
    def post_write(self, address, words):
        """Write 32-bit words to ascending addresses."""

    @abstractmethod
    def post_read(self, addresses):
        """Ask for words: a function that waits for them, if need be, and returns them."""

    @abstractmethod
    def post_wait(self):
        """Let what follows wait until nothing runs."""

    def write(self, window, rows, base=0):
        """Write rows of bytes, or of words, from word ``base`` of a memory on."""
        if len(rows):
            self.post_write(*_image(self.params, window, rows, base))

    def command(self, register, value):
        """Write a register."""
        self.post_write(_address(Window.REGISTERS, register), np.array([value], "<u4"))

    def read(self, register):
        """The value of a register."""
        return int(self.post_read(_address(Window.REGISTERS, np.array([register])))()[0])

    @staticmethod
    def writes_of(program):
        """What a program is in memories: (address, words) of each."""
        parts = [(Window.PROGRAM, program.descriptors[:, None]), (Window.WEIGHTS, program.weights),
                 (Window.PARAMS, pack(ChannelParams, program.channels))]
        return [_image(program.params, window, rows, program.areas[window])
                for window, rows in parts if len(rows)]

    def load(self, program):
        """Write a program that was compiled for this build."""
        self.program, self._turn = program, None
        for address, words in self.writes_of(program):
            self.post_write(address, words)

    def run(self, *inputs):
        """Results of inputs (n, ...), as many as the program takes at a time: every tensor that is
        still in memory at the end.

        Raises :exc:`~systolith.runtime.target.RunError` if the accelerator stops with an error.
        """
        self._check(inputs)
        self._turn = None
        return _finish(self._parts(self.program, inputs))

    def run_many(self, inputs, first=0):
        """Yields the results of several runs in their order: a
        :class:`~systolith.runtime.target.Run` for each of ``inputs``, tuples as :meth:`run` takes
        them, or the
        :exc:`~systolith.runtime.target.RunError` of one that failed, whose ``index`` counts from
        ``first``.

        If the program has a twin, the inputs of the next run are written, and the results of the
        last one read, while the accelerator computes. Nothing else may run before the last result.
        """
        inputs = list(inputs)
        for each in inputs:
            self._check(each)
        self._turn = turn = object()
        programs = self.program.variants
        works = [self._parts(programs[n % len(programs)], each) for n, each in enumerate(inputs)]
        if len(programs) == 1:
            outcomes = (_outcome(work) for work in works)
        else:
            outcomes = _overlapped(works)
        for index, outcome in enumerate(outcomes, first):
            if isinstance(outcome, RunError):
                outcome.index = index
            yield outcome
            if self._turn is not turn:
                raise RuntimeError(f"another run began when {index + 1 - first} of {len(inputs)} "
                                   "were done: the others are lost")

    def _check(self, inputs):
        images = self.program.images
        for x in inputs:
            if len(x) != images:
                raise ValueError(f"the program takes {images} images at a time, not {len(x)}")

    def _parts(self, program, inputs):
        """A run, which pauses before each go, behind it, and when all has been asked that waits for
        its end. The last thing it yields is a :class:`~systolith.runtime.target.Run`."""
        values = {tensor: x.reshape(-1, *program.graph.tensors[tensor].shape[1:])
                  for tensor, x in zip(program.graph.inputs, inputs, strict=True)}
        for tensor, x in values.items():
            self._put(program, tensor, x)
        asked, done = [], []
        for step in program.steps:
            if isinstance(step, Segment):
                yield
                self.command(Register.GO, step.start)
                yield
                asked.append(self._end(step))
                yield
                continue
            done += [wait() for wait in asked]
            asked = []
            values |= self._tensors(program, (tensor for tensor in step.inputs if tensor not in
                                              values and tensor in program.regions))()
            result, = step.outputs
            values[result] = run_operator(program.graph, step, values)
            self._put(program, result, values[result])
        wanted = program.regions if program.keep else program.graph.outputs
        results = self._tensors(program, (tensor for tensor in wanted if tensor not in values))
        done += [wait() for wait in asked]
        values |= results()
        yield Run(values=values, cycles=sum(cycles for cycles, _ in done),
                  layer_cycles=[each for _, layers in done for each in layers])

    def _put(self, program, tensor, x):
        """Write a tensor, if the accelerator has a place for it."""
        if tensor in program.regions:
            self.write(Window.ACTIVATIONS, input_words(program, tensor, x),
                       program.regions[tensor].base)

    def _end(self, segment):
        """Wait for the end of a segment: a function that returns its cycles, in all and of each
        layer."""
        self.post_wait()
        registers = self.post_read(_address(
            Window.REGISTERS, np.array([Register.STATUS, Register.CYCLES])))
        layers = self.post_read(_address(Window.CYCLES, np.arange(segment.layers)))

        def wait():
            status, cycles = registers().tolist()
            if error := Error(status >> 8 & 0xff):
                raise RunError(
                    f"the accelerator stopped at layer {segment.first + (status >> 16)}: "
                    f"{error.name} ({error.text})")
            return cycles, layers().tolist()

        return wait

    def attempt(self, address=0):
        """Run the program at that word of its memory, and tell how it ended: an :class:`Error`."""
        self._turn = None
        self.command(Register.GO, address)
        self.post_wait()
        return Error(self.read(Register.STATUS) >> 8 & 0xff)

    def layer_cycles(self, count):
        """Cycles of each of the first ``count`` layers of the last run."""
        return self.post_read(_address(Window.CYCLES, np.arange(count)))().tolist()

    def tensor(self, index):
        """A tensor that is in memory."""
        return self._tensors(self.program, [index])()[index]

    def _tensors(self, program, indices):
        """Ask for tensors; a function that returns them by index."""
        asked = {}
        for index in indices:
            place = program.regions[index].batched(program.images)
            shape = program.graph.tensors[index].shape[1:]
            asked[index] = place, shape, self.post_read(_places(place))
        return lambda: {index: _tensor(place, shape, words())
                        for index, (place, shape, words) in asked.items()}


def _finish(work):
    """Do what is left of a run, and return what it yields at last."""
    *_, run = work
    return run


def _outcome(work):
    try:
        return _finish(work)
    except RunError as error:
        return error


def _overlapped(works):
    """Outcomes of runs of one segment each, in whose places those beside them have nothing.

    At each of them nothing is under way but what the next command waits for.
    """
    last, now = None, next(works := iter(works), None)
    if now:
        next(now)  # its inputs
    while now:
        next(now)  # go
        done = last and _outcome(last)  # may lie where the next inputs go
        after = next(works, None)
        if after:
            next(after)
        next(now)  # the wait for its end
        if done:
            yield done
        last, now = now, after
    if last:
        yield _outcome(last)


def _address(window, offset=0):
    return (window << OFFSET_BITS) + offset


def _image(params, window, rows, base=0):
    """(address, words) of rows of bytes, or of words, from word ``base`` of a memory on."""
    raw = np.ascontiguousarray(rows)
    raw = raw.view(np.uint8).reshape(len(rows), -1)
    width, _ = memories_of(params)[window]
    chunks = chunks_of(width)
    room = 4 * chunks * -(-raw.shape[1] // -(-width // 8))  # a row is a word or several
    raw = np.pad(raw, ((0, 0), (0, room - raw.shape[1])))
    return _address(window, base * chunks), raw.view("<u4").reshape(-1)


def _places(place):
    """Addresses of the words of a tensor."""
    chunks = chunks_of(8 * place.word_bytes)
    y, x, word = np.ogrid[:place.height, :place.width, :place.pixel_words]
    words = place.base + y * place.line_step + x * place.pixel_step + word
    return _address(Window.ACTIVATIONS, (words[..., None] * chunks + np.arange(chunks)).ravel())


def _tensor(place, shape, words):
    """What ``words`` at a place are: images of a shape."""
    raw = np.asarray(words).astype("<u4").reshape(-1, chunks_of(8 * place.word_bytes))
    data = raw.view(np.int8)[:, :place.word_bytes].reshape(place.height, place.width, -1)
    return data[..., place.offset:place.offset + place.channels].reshape(-1, *shape)
