from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.accelerator.registers import (
    ADDRESS_BITS,
    FIRST_PARAMETER,
    ID,
    OFFSET_BITS,
    Error,
    Register,
    Window,
)
from rtl.layouts import ChannelParams, bytes_of
from rtl.memory import BlockRam

__all__ = ["HostPort", "chunks_of"]

#: Layers whose cycles are remembered.
LAYERS = 256


def chunks_of(width):
    """Words of 32 bits that a memory word of ``width`` bits takes in its window."""
    return 1 << ceil_log2(-(-width // 32))


class HostPort(wiring.Component):
    """Commands of the host to registers and memories; a write takes a cycle, a read a few.

    What is written beyond a memory is lost, and what is read there means nothing.

    Members
    -------
    commands, o : as of :class:`Accelerator`
    write : ``Out(len(Window))``
        A bit for each window: write ``data`` at ``address`` of the memory behind it.
    address, data : ``Out``
        Of a memory's own words. A read holds its address.
    activations : ``In(bytes_of(word_bytes))``
        The word there, a few cycles later.
    go, go_address, stop : as of :class:`Sequencer`
    running, error, index, cycles, record_en, record : as of :class:`Sequencer`
    """

    def __init__(self, params, *, version):
        self.params = params
        self.version = int.from_bytes(bytes(map(int, version.split("."))), "little")
        self._memories = {  # bits of a word, words
            Window.PROGRAM: (32, params.program_words),
            Window.WEIGHTS: (8 * params.array.cols, params.weight_rows),
            Window.PARAMS: (Shape.cast(ChannelParams).width, params.channels),
            Window.ACTIVATIONS: (8 * params.word_bytes, params.words)}
        self._most = max(chunks_of(width) for width, _ in self._memories.values())
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({
            "commands": In(stream.Signature(command)),
            "o": Out(stream.Signature(32)),
            "write": Out(len(Window)),
            "address": Out(OFFSET_BITS),
            "data": Out(32 * self._most),
            "activations": In(bytes_of(params.word_bytes)),
            "go": Out(1),
            "go_address": Out(32),
            "stop": Out(1),
            "running": In(1),
            "error": In(Error),
            "index": In(16),
            "cycles": In(32),
            "record_en": In(1),
            "record": In(32),
        })

    def elaborate(self, platform):
        m = Module()
        command = self.commands.payload
        window, offset = command.address[OFFSET_BITS:], command.address[:OFFSET_BITS]
        taken = self.commands.valid & self.commands.ready
        part = self._write(m, window, offset, taken & command.write)
        orders = taken & command.write & (window == Window.REGISTERS)
        m.d.comb += [
            self.go.eq(orders & (offset == Register.GO)),
            self.go_address.eq(command.data),
            self.stop.eq(orders & (offset == Register.STOP)),
        ]
        tag = Signal(32)
        with m.If(orders & (offset == Register.TAG)):
            m.d.sync += tag.eq(command.data)

        # A read waits for the memory, its address held.
        wait = Signal(range(4))
        free = ~self.running | (window == Window.REGISTERS)
        m.d.comb += self.commands.ready.eq(
            free & (command.write | ((wait == 3) & ~self.o.valid)))
        waiting = self.commands.valid & ~command.write & free & ~self.commands.ready
        m.d.sync += wait.eq(Mux(waiting, Mux(wait == 3, 3, wait + 1), 0))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        words = self.activations.as_value()
        answers = {
            Window.REGISTERS: self._register(m, offset, tag),
            Window.ACTIVATIONS: Cat(words, Const(0, -len(words) % 32)).word_select(part, 32),
            Window.CYCLES: self._layer_cycles(m, offset),
        }
        with m.If(taken & ~command.write):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(0)]
            with m.Switch(window):
                for each, answer in answers.items():
                    with m.Case(each):
                        m.d.sync += self.o.payload.eq(answer)
        return m

    def _write(self, m, window, offset, taken):
        """Chunks of a wide word wait for the last of them. Returns which one ``offset`` is."""
        gathered, part = Signal(32 * self._most), Signal(range(self._most))
        now = Cat(gathered[32:], self.commands.payload.data)
        with m.If(taken):
            m.d.sync += gathered.eq(now)
        with m.Switch(window):
            for each, (width, depth) in self._memories.items():
                chunks = chunks_of(width)
                shift = ceil_log2(chunks)
                with m.Case(each):
                    m.d.comb += [
                        self.address.eq(offset >> shift),
                        part.eq(offset[:shift]),
                        self.write[each].eq(taken & (part == chunks - 1)
                                            & (offset >> shift < depth)),
                        self.data.eq(now[-32 * chunks:]),
                    ]
            with m.Default():
                m.d.comb += self.address.eq(offset)
        return part

    def _layer_cycles(self, m, offset):
        m.submodules.cycles = cycles = BlockRam(width=32, depth=LAYERS)
        m.d.comb += [
            cycles.write_en.eq(self.record_en), cycles.write_addr.eq(self.index),
            cycles.write_data.eq(self.record), cycles.read_en.eq(1), cycles.read_addr.eq(offset),
        ]
        return cycles.read_data

    def _register(self, m, offset, tag):
        value = Signal(32)
        parameters, flags = self.params.registers()
        with m.Switch(offset):
            for register, content in {
                    Register.ID: ID,
                    Register.VERSION: self.version,
                    Register.FLAGS: flags,
                    Register.STATUS: Cat(self.running, Const(0, 7), self.error,
                                         Const(0, 8 - len(self.error)), self.index),
                    Register.CYCLES: self.cycles,
                    Register.TAG: tag,
                    **dict(enumerate(parameters.values(), FIRST_PARAMETER))}.items():
                with m.Case(register):
                    m.d.comb += value.eq(content)
        return value
