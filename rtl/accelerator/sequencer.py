from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.descriptor import Kind, descriptor_of, descriptor_words
from rtl.accelerator.registers import Error
from rtl.memory import BlockRam

__all__ = ["PATIENCE", "Sequencer"]

#: Cycles without any movement after which a layer is taken for stuck.
PATIENCE = 1 << 16


class Sequencer(wiring.Component):
    """Walks the program: loads a descriptor, starts its layer, waits for its end.

    A descriptor of ``n`` words takes ``n + 4`` cycles to load and start.

    Members
    -------
    write_en, write_addr, write_data : the program's memory, for the host
    go : ``In(1)``
        Begin with the first descriptor, unless running.
    layer : ``Out(descriptor_of(params))``
        Holds while the layer runs.
    clear : ``Out(1)``
        Everything begins anew: a run starts, or one was given up.
    init : ``Out(1)``
        The layer begins.
    finished, moved : ``In(1)``
        The layer has ended; something moved in this cycle.
    running, error, index, cycles : ``Out``
        Of this run or the last one.
    record_en, record : ``Out(1)``, ``Out(32)``
        Cycles of the layer ``index``, as it ends.
    """

    def __init__(self, params):
        self.params = params
        super().__init__({
            "write_en": In(1),
            "write_addr": In(range(params.program_words)),
            "write_data": In(32),
            "go": In(1),
            "layer": Out(descriptor_of(params)),
            "clear": Out(1),
            "init": Out(1),
            "finished": In(1),
            "moved": In(1),
            "running": Out(1),
            "error": Out(8),
            "index": Out(16),
            "cycles": Out(32),
            "record_en": Out(1),
            "record": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        words = descriptor_words(self.params)
        m.submodules.program = program = BlockRam(width=32, depth=self.params.program_words)
        address = Signal(range(self.params.program_words + 1))
        left = Signal(range(words + 1))
        shifted = Signal(32 * words, reset_less=True)
        began, idle = Signal(32), Signal(range(PATIENCE + 1))
        m.d.comb += [
            program.write_en.eq(self.write_en),
            program.write_addr.eq(self.write_addr),
            program.write_data.eq(self.write_data),
            program.read_addr.eq(address),
            program.read_en.eq(1),
            self.layer.eq(shifted[:self.layer.as_value().shape().width]),
            self.record.eq(self.cycles - began),
        ]
        with m.If(self.running):
            m.d.sync += self.cycles.eq(self.cycles + 1)

        def stop(error):
            m.d.sync += [self.running.eq(0), self.error.eq(error)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [address.eq(0), left.eq(words)]
                with m.If(self.go):
                    m.d.sync += [self.running.eq(1), self.error.eq(Error.NONE), self.index.eq(0),
                                 self.cycles.eq(0)]
                    m.d.comb += self.clear.eq(1)
                    m.next = "ADDRESS"
            with m.State("ADDRESS"):
                m.d.sync += [address.eq(address + 1), began.eq(self.cycles)]
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.sync += [address.eq(address + 1), left.eq(left - 1),
                             shifted.eq(Cat(shifted[32:], program.read_data))]
                with m.If(left == 1):
                    m.d.sync += address.eq(address)
                    m.next = "START"
            with m.State("START"):
                m.d.sync += [left.eq(words), idle.eq(0)]
                with m.Switch(self.layer.kind):
                    with m.Case(Kind.END):
                        stop(Error.NONE)
                        m.next = "IDLE"
                    with m.Case(Kind.CONV, Kind.POOL, Kind.ADD):
                        m.d.comb += self.init.eq(1)
                        m.next = "RUN"
                    with m.Default():
                        stop(Error.KIND)
                        m.next = "IDLE"
            with m.State("RUN"):
                m.d.sync += idle.eq(Mux(self.moved, 0, idle + 1))
                with m.If(self.finished):
                    m.d.comb += self.record_en.eq(1)
                    m.d.sync += self.index.eq(self.index + 1)
                    m.next = "ADDRESS"
                    with m.If(address + words > self.params.program_words):
                        stop(Error.PROGRAM)
                        m.next = "IDLE"
                with m.Elif(idle == PATIENCE):
                    m.d.comb += self.clear.eq(1)
                    stop(Error.STALL)
                    m.next = "IDLE"
        return m
