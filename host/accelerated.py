"""Networks on the compiled simulation of the accelerator."""

import numpy as np

from host.compiler import Segment, input_words
from host.golden_run import run_operator
from host.target import Run
from rtl.accelerator import Accelerator
from rtl.accelerator.host import chunks_of
from rtl.accelerator.registers import OFFSET_BITS, Error, Register, Window
from rtl.layouts import ChannelParams
from sim.compiled import CompiledSim
from sim.packing import pack

__all__ = ["SimulatedAccelerator"]

#: Cycles to wait for an answer: more than any network takes.
PATIENCE = 1 << 32


class SimulatedAccelerator:
    """An :class:`Accelerator` behind its command port, with one network loaded: a
    :class:`~host.target.Target`."""

    def __init__(self, params, *, trace=None):
        self.params = params
        self.sim = CompiledSim(Accelerator(params), trace=trace, key=repr(params))
        self.program = None

    def load(self, program):
        """Write a program that was compiled for this build."""
        self.program = program
        self.write(Window.PROGRAM, program.descriptors[:, None])
        self.write(Window.WEIGHTS, program.weights)
        self.write(Window.PARAMS, pack(ChannelParams, program.channels))

    def write(self, window, rows, base=0):
        """Rows of bytes, or of words, from word ``base`` of a memory on."""
        if not len(rows):
            return
        raw = np.ascontiguousarray(rows)
        raw = raw.view(np.uint8).reshape(len(rows), -1)
        chunks = chunks_of(8 * raw.shape[1])
        raw = np.pad(raw, ((0, 0), (0, 4 * chunks - raw.shape[1])))
        data = raw.view("<u4").reshape(-1).astype(np.int64)
        address = (window << OFFSET_BITS) + base * chunks + np.arange(len(data))
        self._command(1, address, data)

    def command(self, register, value):
        """Write a register."""
        self._command(1, register, value)

    def read(self, register):
        """The value of a register."""
        return int(self._read(Window.REGISTERS, register)[0])

    def _command(self, write, address, data):
        address = np.atleast_1d(address)
        self.sim.push("commands", {"write": np.full(len(address), write), "address": address,
                                   "data": np.broadcast_to(data, address.shape)})
        taken = self.sim.record("commands")[0]
        self.sim.run({"commands": taken + len(address)}, idle=PATIENCE)

    def _read(self, window, address):
        address = np.atleast_1d(address)
        before = self.sim.record("o")[0]
        self.sim.push("commands", {"write": np.zeros(len(address), int),
                                   "address": (window << OFFSET_BITS) + address,
                                   "data": np.zeros(len(address), int)})
        self.sim.run({"o": before + len(address)}, idle=PATIENCE)
        return self.sim.pull("o")[before:]

    def run(self, *inputs):
        """Results of inputs (n, ...), as many as the program takes at a time: every tensor that is
        still in memory at the end.

        Raises :exc:`RuntimeError` if the accelerator stops with an error.
        """
        program = self.program
        for x in inputs:
            if len(x) != program.pictures:
                raise ValueError(f"the program takes {program.pictures} pictures at a time, not "
                                 f"{len(x)}")
        values = dict(zip(program.graph.inputs, inputs, strict=True))
        for tensor, x in values.items():
            self._put(tensor, x)
        cycles, layers = 0, []
        for step in program.steps:
            if isinstance(step, Segment):
                cycles += self._go(step)
                layers += self.layer_cycles(step.layers)
                continue
            for tensor in step.inputs:
                if tensor not in values and tensor in program.places:
                    values[tensor] = self.tensor(tensor)
            result, = step.outputs
            values[result] = run_operator(program.graph, step, values)
            self._put(result, values[result])
        wanted = program.places if program.keep else program.graph.outputs
        values |= {tensor: self.tensor(tensor) for tensor in wanted if tensor not in values}
        return Run(values=values, cycles=cycles, layer_cycles=layers)

    def _put(self, tensor, x):
        """Write a tensor, if the accelerator has a place for it."""
        if tensor in self.program.places:
            self.write(Window.ACTIVATIONS, input_words(self.program, tensor, x),
                       self.program.places[tensor].base)

    def _go(self, segment):
        """Cycles that the segment takes."""
        error = self.attempt(segment.start)
        if error:
            layer = segment.first + (self.read(Register.STATUS) >> 16)
            raise RuntimeError(f"the accelerator stopped at layer {layer}: {error.name} "
                               f"({error.text})")
        return self.read(Register.CYCLES)

    def layer_cycles(self, count):
        """Cycles of each of the first ``count`` layers of the last run."""
        return self._read(Window.CYCLES, np.arange(count)).tolist()

    def attempt(self, address=0):
        """Run the program at that word of its memory, and tell how it ended: an :class:`Error`."""
        self.command(Register.GO, address)
        # Commands to a memory wait for the end of the run, which the hardware itself ensures.
        self._read(Window.CYCLES, 0)
        return Error(self.read(Register.STATUS) >> 8 & 0xff)

    def tensor(self, index):
        """A tensor that is in memory."""
        place = self.program.places[index].stacked(self.program.pictures)
        chunks = chunks_of(8 * place.word_bytes)
        y, x, word = np.ogrid[:place.height, :place.width, :place.pixel_words]
        addresses = place.base + y * place.line_step + x * place.pixel_step + word
        words = self._read(Window.ACTIVATIONS, (addresses[..., None] * chunks
                                                + np.arange(chunks)).ravel())
        raw = words.astype("<u4").reshape(-1, chunks)
        data = raw.view(np.int8)[:, :place.word_bytes].reshape(place.height, place.width, -1)
        shape = self.program.graph.tensors[index].shape[1:]
        return data[..., place.offset:place.offset + place.channels].reshape(-1, *shape)
