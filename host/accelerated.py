"""Networks on the compiled simulation of the accelerator."""

import numpy as np

from host.compiler import input_words
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
        self._write(Window.PROGRAM, program.descriptors[:, None], 1)
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
        """Results of inputs (1, ...): every tensor that is still in memory at the end."""
        program = self.program
        chunks = chunks_of(8 * self.params.word_bytes)
        for tensor, x in zip(program.graph.inputs, inputs, strict=True):
            self._write(Window.ACTIVATIONS, input_words(program, tensor, x), chunks,
                        program.places[tensor].base)
        self._command(1, Register.GO, 0)
        # Commands to a memory wait for the end of the run, which the hardware itself ensures.
        layers = self._read(Window.CYCLES, np.arange(len(program.layers))).tolist()
        status = int(self._read(Window.REGISTERS, Register.STATUS)[0])
        error = Error(status >> 8 & 0xff)
        if error:
            raise RuntimeError(f"the accelerator stopped at layer {status >> 16}: {error.name}")
        cycles = int(self._read(Window.REGISTERS, Register.CYCLES)[0])
        values = dict(zip(program.graph.inputs, inputs, strict=True))
        values |= {tensor: self._tensor(tensor) for tensor in self._wanted()}
        for operator in program.rest:
            values[operator.outputs[0]] = run_operator(program.graph, operator, values)
        return Run(values=values, cycles=cycles, layer_cycles=layers)

    def _wanted(self):
        graph = self.program.graph
        if self.program.keep:
            return [index for index in self.program.places if index not in graph.inputs]
        needed = {*graph.outputs, *(index for op in self.program.rest for index in op.inputs)}
        return [index for index in needed - set(graph.inputs) if index in self.program.places]

    def _tensor(self, index):
        place = self.program.places[index]
        chunks = chunks_of(8 * place.word_bytes)
        words = self._read(Window.ACTIVATIONS, place.base * chunks
                           + np.arange(place.words * chunks))
        raw = words.astype("<u4").reshape(-1, chunks)
        data = raw.view(np.int8)[:, :place.word_bytes].reshape(place.height, place.width, -1)
        shape = self.program.graph.tensors[index].shape[1:]
        return data[..., :place.channels].reshape(1, *shape)
