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
        self.program, self.loaded = program, None
        self._write(Window.WEIGHTS, program.weights, chunks_of(8 * self.params.array.cols))
        packed = pack(ChannelParams, program.channels)
        self._write(Window.PARAMS, packed, chunks_of(8 * packed.shape[1]))

    def _write(self, window, rows, chunks, base=0):
        """Rows of bytes, or of words, from word ``base`` of a memory on."""
        if not len(rows):
            return
        raw = np.ascontiguousarray(rows)
        raw = raw.view(np.uint8).reshape(len(rows), -1)
        raw = np.pad(raw, ((0, 0), (0, 4 * chunks - raw.shape[1])))
        data = raw.view("<u4").reshape(-1).astype(np.int64)
        address = (window << OFFSET_BITS) + base * chunks + np.arange(len(data))
        self._command(1, address, data)

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
        still in memory at the end."""
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
                layers += self._read(Window.CYCLES, np.arange(step.layers)).tolist()
                continue
            for tensor in step.inputs:
                if tensor not in values and tensor in program.places:
                    values[tensor] = self._tensor(tensor)
            result, = step.outputs
            values[result] = run_operator(program.graph, step, values)
            self._put(result, values[result])
        wanted = program.places if program.keep else program.graph.outputs
        values |= {tensor: self._tensor(tensor) for tensor in wanted if tensor not in values}
        return Run(values=values, cycles=cycles, layer_cycles=layers)

    def _put(self, tensor, x):
        """Write a tensor, if the accelerator has a place for it."""
        if tensor in self.program.places:
            self._write(Window.ACTIVATIONS, input_words(self.program, tensor, x),
                        chunks_of(8 * self.params.word_bytes), self.program.places[tensor].base)

    def _go(self, segment):
        """Cycles that the segment takes."""
        if segment.start != self.loaded:
            words = self.program.descriptors[segment.start:segment.start + segment.words]
            self._write(Window.PROGRAM, words[:, None], 1)
            self.loaded = segment.start
        self._command(1, Register.GO, 0)
        # Commands to a memory wait for the end of the run, which the hardware itself ensures.
        self._read(Window.CYCLES, 0)
        status = int(self._read(Window.REGISTERS, Register.STATUS)[0])
        error = Error(status >> 8 & 0xff)
        if error:
            raise RuntimeError(f"the accelerator stopped at layer {segment.first + (status >> 16)}:"
                               f" {error.name}")
        return int(self._read(Window.REGISTERS, Register.CYCLES)[0])

    def _tensor(self, index):
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
