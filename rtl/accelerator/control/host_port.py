from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.accelerator.control.fingerprint import fingerprint
from rtl.accelerator.memories import host_access, memories_of
from rtl.accelerator.params import AcceleratorParams
from rtl.accelerator.registers import (
    ADDRESS_BITS,
    FIRST_PARAMETER,
    ID,
    OFFSET_BITS,
    PARAMETERS,
    Error,
    Register,
    Window,
)
from rtl.memory import BlockRam
from rtl.validate import of_type

__all__ = ["HostPort", "chunks_of"]

#: Layers whose cycles are recorded.
LAYERS = 256


def chunks_of(width):
    """Words of 32 bits that a memory word of ``width`` bits takes in its window."""
    return 1 << ceil_log2(-(-width // 32))


def version_number(version):
    """``version``, such as ``"0.1.0"``, as the register of that name has it."""
    of_type("version", version, str, "a string")
    parts = version.split(".")
    if not (len(parts) == 3 and all(part.isdecimal() and int(part) < 256 for part in parts)):
        raise ValueError(f"version must be three numbers below 256, such as 0.1.0, not {version!r}")
    return int.from_bytes(bytes(map(int, parts)), "little")


class HostPort(wiring.Component):
    """Carries out the host's commands to registers and memories. A write to a memory takes one
    cycle, one to a register two, a read a few.

    Writes beyond the end of a memory are lost, and reads there are meaningless.

    Activations can be accessed at any time. Commands to other memories, and to the cycles of
    layers, wait until nothing runs.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
    version : :class:`str`
        Major, minor and patch, such as ``"0.1.0"``.

    Members
    -------
    commands, o : as of :class:`Accelerator`
    memories : ``Out(host_access(params))``
    go, go_address, stop : as of :class:`Sequencer`
    running, error, index, cycles, record_en, record : as of :class:`Sequencer`
    """

    def __init__(self, params, *, version):
        self.params = of_type("params", params, AcceleratorParams)
        self.version, self.fingerprint = version_number(version), fingerprint(params)
        self._memories = memories_of(params)
        self._most = max(chunks_of(width) for width, _ in self._memories.values())
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({
            "commands": In(stream.Signature(command)),
            "o": Out(stream.Signature(32)),
            "memories": Out(host_access(params)),
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
        window, offset = Signal(Window), command.address[:OFFSET_BITS]
        m.d.comb += window.eq(command.address[OFFSET_BITS:])
        free = ~self.running | (window == Window.REGISTERS) | (window == Window.ACTIVATIONS)
        taken, reads = self.commands.valid & self.commands.ready, Signal()
        asked, answered = Signal(), Signal()  # an access is under way; a read's answer is here
        # The register is decoded in one cycle, and accessed in the next.
        registers, register = Signal(), Signal(range(FIRST_PARAMETER + len(PARAMETERS)))
        m.d.sync += [
            registers.eq((window == Window.REGISTERS) & (offset >> len(register) == 0)),
            register.eq(offset),
        ]
        orders = asked & command.write & registers
        foreign = Signal()  # the program is for another build
        m.d.comb += [
            reads.eq(self.commands.valid & ~command.write & free & ~self.o.valid),
            self.go.eq(orders & (register == Register.GO) & ~foreign),
            self.go_address.eq(command.data),
            self.stop.eq(orders & (register == Register.STOP)),
        ]
        with m.If(orders & (register == Register.FINGERPRINT)):
            m.d.sync += foreign.eq(command.data != self.fingerprint)
        tag = Signal(32)
        with m.If(orders & (register == Register.TAG) & ~foreign):
            m.d.sync += tag.eq(command.data)
        request, words = self.memories.requests, self.memories.words
        part, whole = self._word(m, window, offset, taken & command.write)
        with m.If(command.write & (window == Window.REGISTERS)):
            m.d.comb += self.commands.ready.eq(asked)
            m.d.sync += asked.eq(self.commands.valid & ~asked)
        with m.Elif(command.write):
            m.d.comb += [request.valid.eq(self.commands.valid & free & whole),
                         self.commands.ready.eq(free & (request.ready | ~whole))]
        with m.Elif(window == Window.ACTIVATIONS):
            m.d.comb += [request.valid.eq(reads & ~asked), answered.eq(asked & words.valid)]
        with m.Else():
            m.d.comb += answered.eq(asked)  # the memory of cycles takes one
        with m.If(~command.write):
            m.d.comb += self.commands.ready.eq(answered)
            m.d.sync += asked.eq(Mux(asked, ~answered, reads & (~request.valid | request.ready)))

        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        word = words.payload
        answers = {
            Window.REGISTERS: self._register(m, registers, register, tag, foreign),
            Window.ACTIVATIONS: Cat(word, Const(0, -len(word) % 32)).word_select(part, 32),
            Window.CYCLES: self._layer_cycles(m, offset),
        }
        with m.If(answered):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(0)]
            with m.Switch(window):
                for each, answer in answers.items():
                    with m.Case(each):
                        m.d.sync += self.o.payload.eq(answer)
        return m

    def _word(self, m, window, offset, taken):
        """Chunks of a wide word are gathered until the last. Returns the index of the chunk at
        ``offset``, and whether it completes a word of the memory."""
        part, whole, now = Signal(range(self._most)), Signal(), self.commands.payload.data
        if self._most > 1:
            gathered = Signal(32 * self._most - 32)
            now = Cat(gathered, now)
            with m.If(taken):
                m.d.sync += gathered.eq(now[32:])
        to = self.memories.requests.payload
        m.d.comb += [to.window.eq(window), to.write.eq(self.commands.payload.write)]
        with m.Switch(window):
            for each, (width, depth) in self._memories.items():
                chunks = chunks_of(width)
                shift = ceil_log2(chunks)
                with m.Case(each):
                    m.d.comb += [
                        to.address.eq(offset >> shift),
                        to.data.eq(now[-32 * chunks:]),
                        part.eq(offset[:shift]),
                        whole.eq((part == chunks - 1) & (offset >> shift < depth)),
                    ]
        return part, whole

    def _layer_cycles(self, m, offset):
        """The recorded cycles of a layer."""
        m.submodules.cycles = cycles = BlockRam(width=32, depth=LAYERS)
        m.d.comb += [
            cycles.write_en.eq(self.record_en), cycles.write_addr.eq(self.index),
            cycles.write_data.eq(self.record), cycles.read_en.eq(1), cycles.read_addr.eq(offset),
        ]
        return cycles.read_data

    def _register(self, m, there, register, tag, foreign):
        """The value of a register."""
        value = Signal(32)
        parameters, flags = self.params.registers()
        error = Mux(foreign, Error.FOREIGN, self.error)
        with m.Switch(Cat(register, ~there)):
            for each, content in {
                    Register.ID: ID,
                    Register.VERSION: self.version,
                    Register.FLAGS: flags,
                    Register.STATUS: Cat(self.running, Const(0, 7), error,
                                         Const(0, 8 - len(error)), self.index),
                    Register.CYCLES: self.cycles,
                    Register.TAG: tag,
                    Register.FINGERPRINT: self.fingerprint,
                    **dict(enumerate(parameters.values(), FIRST_PARAMETER))}.items():
                with m.Case(each):
                    m.d.comb += value.eq(content)
        return value
