import enum

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from rtl.accelerator.control.descriptor import Kind, descriptor_words, layer_of
from rtl.accelerator.control.descriptor_loader import DescriptorLoader
from rtl.accelerator.params import AcceleratorParams
from rtl.accelerator.registers import Error
from rtl.validate import of_type

__all__ = ["Sequencer"]

#: Fields of a descriptor for the readers of its sequences, which start before the layer begins.
READERS = {"weights": ("kind", "weights"), "params": ("params",)}


class State(enum.Enum):
    """What the sequencer waits for."""

    IDLE = 0   #: A go.
    NEXT = 1   #: The next descriptor, and the start of its readers.
    BEGIN = 2  #: The units, which take the layer's configuration.
    RUN = 3    #: The end of the layer.


class Sequencer(wiring.Component):
    """Runs the program: loads a descriptor, starts its layer, waits for its end.

    The readers of weights and parameters start as soon as a descriptor is loaded and they are done
    with the layer before. With ``prefetch`` a descriptor is loaded while the layer before it runs,
    so that its units start three cycles after the last byte of that layer was stored; otherwise it
    is loaded afterwards, which takes ``n + 5`` cycles for a descriptor of ``n`` words.

    An error stops the run in the cycle after it is detected, and clears all units. Errors of a
    layer's sequences are reported only once the layer has begun.

    Parameters
    ----------
    params : :class:`AcceleratorParams`

    Members
    -------
    port : ``Out(memory_port(...))``
        The program memory.
    go, go_address : ``In(1)``, ``In(32)``
        Begin with the descriptor at that word, unless running.
    stop : ``In(1)``
        Abort the run.
    layer : ``Out(layer_of(params))``
        Holds while the layer runs.
    ahead : ``Out(data.StructLayout)``
        ``kind``, ``weights`` and ``params`` of the descriptor whose words the readers deliver.
    clear : ``Out(1)``
        Resets all units: a run started in the last cycle, or was aborted, or this unit was reset.
        A register, as it goes everywhere.
    init, init_ahead : ``Out``
        The layer begins; its readers do, each as soon as it can.
    finished, moved, mapped : ``In(1)``
        The layer has ended; there was a transfer in this cycle; the im2col unit has work to do.
    reading : ``In``
        Which readers, ``weights`` and ``params``, have words to deliver.
    outside : ``In``
        Which addresses are outside their memories.
    running, error, index, cycles : ``Out``
        State of this run, or of the last one.
    record_en, record : ``Out(1)``, ``Out``
        Cycles of the layer ``index`` when it ends, from the end of the one before.
    """

    def __init__(self, params):
        self.params = of_type("params", params, AcceleratorParams)
        self.loader = DescriptorLoader(words=descriptor_words(params),
                                       depth=params.spaces["program"],
                                       kept=-(-layer_of(params).size // 32))
        fields = layer_of(params).members
        readers = data.StructLayout(dict.fromkeys(READERS, 1))
        super().__init__({
            "port": Out(self.loader.port.signature),
            "go": In(1),
            "go_address": In(32),
            "stop": In(1),
            "layer": Out(layer_of(params)),
            "ahead": Out(data.StructLayout({name: fields[name] for names in READERS.values()
                                            for name in names if name in fields})),
            "clear": Out(1, init=1),
            "init": Out(1),
            "init_ahead": Out(readers),
            "finished": In(1),
            "moved": In(1),
            "mapped": In(1),
            "reading": In(readers),
            "outside": In(data.StructLayout({
                name: 1 for name in ("fetch", "store", "weights", "params")})),
            "running": Out(1),
            "error": Out(Error),
            "index": Out(16),
            "cycles": Out(32),
            "record_en": Out(1),
            "record": Out(range(2 * params.layer_timeout)),
        })

    def elaborate(self, platform):
        m = Module()
        params, state = self.params, Signal(State)
        m.submodules.loader = loader = self.loader
        connect(m, loader.port, flipped(self.port))
        begin, take, end = Signal(), Signal(), Signal()  # a run begins, a layer does, one ends
        stop, fails = Signal(Error), Signal()  # why a run is aborted, and whether it is
        # Errors of a layer come from everywhere, and take effect through registers.
        seen, fault, ended = Signal(Error), Signal(Error), Signal()
        m.d.comb += [
            loader.go.eq(begin),
            loader.address.eq(self.go_address),
            loader.next.eq(take if params.prefetch else end),
        ]
        m.d.sync += [self.clear.eq(begin | fails), fault.eq(seen), ended.eq(end)]
        staged = data.View(self.layer.shape(), loader.o[:self.layer.shape().size])
        # Without prefetch the descriptor stays there while its layer runs.
        there = loader.there & (Const(1) if params.prefetch else state == State.NEXT)
        ahead = self._connect_layer(m, staged, there, take)

        stuck = self._elaborate_counters(m, take)
        with m.Switch(state):
            with m.Case(State.IDLE):
                m.d.comb += begin.eq(self.go)
                with m.If(begin):
                    m.d.sync += [self.running.eq(1), self.error.eq(Error.NONE), self.index.eq(0),
                                 self.cycles.eq(0), self.record.eq(1), state.eq(State.NEXT)]
            with m.Case(State.NEXT):
                with m.If(loader.error != Error.NONE):
                    m.d.comb += [stop.eq(loader.error), fails.eq(1)]
                with m.Elif(loader.there):
                    self._judge(m, staged, ahead.as_value().all(), take, stop, fails, state)
                with m.If(stuck):
                    m.d.comb += [stop.eq(Error.STALL), fails.eq(1)]
                with m.If(take):
                    m.d.sync += state.eq(State.BEGIN)
            with m.Case(State.BEGIN):
                m.d.comb += self.init.eq(1)
                m.d.sync += state.eq(State.RUN)
            with m.Case(State.RUN):
                m.d.comb += end.eq(self.finished)
                self._elaborate_errors(m, stuck, end, ahead, seen)
        with m.If(self.stop):
            m.d.comb += seen.eq(Error.STOPPED)
        with m.If(self.running & (fault != Error.NONE)):
            m.d.comb += [stop.eq(fault), fails.eq(1)]
        with m.If(end):
            m.d.comb += self.record_en.eq(1)
            m.d.sync += [self.record.eq(1), state.eq(State.NEXT)]
        with m.If(ended & (fault == Error.NONE)):  # an error seen as a layer ended is one of it
            m.d.sync += self.index.eq(self.index + 1)
        with m.If(fails):
            m.d.sync += [self.running.eq(0), self.error.eq(stop), state.eq(State.IDLE)]
        return m

    def _elaborate_counters(self, m, take):
        """Cycles of the run and of the layer. Returns whether the layer is stuck: for how long
        there was no transfer."""
        idle = Signal(range(self.params.stall_timeout + 1))
        stuck = idle[exact_log2(self.params.stall_timeout)]
        moved = Signal()
        m.d.sync += [moved.eq(self.moved | take), idle.eq(Mux(moved | ~self.running, 0, idle + 1))]
        with m.If(self.running):
            m.d.sync += [self.cycles.eq(self.cycles + 1), self.record.eq(self.record + 1)]
        return stuck

    def _elaborate_errors(self, m, stuck, end, ahead, seen):
        """Errors of the layer that runs; of several the last."""
        # Readers that went ahead report on the layer to come.
        outside, reading = self.outside, self.reading
        long = self.record[exact_log2(self.params.layer_timeout)]
        for wrong, error in (
                (stuck, Error.STALL), (long, Error.LONG),
                ((stuck | long) & self.mapped, Error.CONV),
                (end & ~ahead.weights & reading.weights, Error.WEIGHTS),
                (end & ~ahead.params & reading.params, Error.PARAMS),
                (outside.fetch, Error.FETCH), (outside.store, Error.STORE),
                (outside.weights & ~ahead.weights, Error.WEIGHTS),
                (outside.params & ~ahead.params, Error.PARAMS)):
            with m.If(wrong):
                m.d.comb += seen.eq(error)

    def _judge(self, m, staged, ahead, take, stop, fails, state):
        """Begin the layer of a descriptor that is loaded, end the run, or report an error."""
        units = {Kind.CONV: self.params.fused | ~staged.sum, Kind.POOL: self.params.pooling,
                 Kind.ADD: self.params.addition, Kind.TABLE: self.params.fused}
        with m.Switch(staged.kind):
            with m.Case(Kind.END):
                m.d.sync += [self.running.eq(0), state.eq(State.IDLE)]
            for each, has in units.items():
                with m.Case(each):
                    with m.If(has):
                        m.d.comb += take.eq(ahead)
                    with m.Else():
                        m.d.comb += [stop.eq(Error.UNIT), fails.eq(1)]
            with m.Default():
                m.d.comb += [stop.eq(Error.KIND), fails.eq(1)]

    def _connect_layer(self, m, staged, there, take):
        """Hand a descriptor to its readers, then to the units. Returns which readers have started.
        """
        ahead = Signal(self.reading.shape())
        for reader, names in READERS.items():
            start = Signal(name=f"start_{reader}")
            m.d.comb += start.eq(there & ~ahead[reader] & ~self.reading[reader]
                                 & self.running)
            m.d.sync += self.init_ahead[reader].eq(start)
            with m.If(start):
                m.d.sync += ahead[reader].eq(1)
            if self.params.prefetch:
                with m.If(start):
                    m.d.sync += [self.ahead[name].eq(staged[name]) for name in names]
            else:
                m.d.comb += [self.ahead[name].eq(staged[name]) for name in names
                             if name in self.ahead.shape().members]
        with m.If(take | self.clear):
            m.d.sync += ahead.eq(0)
        if self.params.prefetch:
            with m.If(take):
                m.d.sync += self.layer.eq(staged)
        else:
            m.d.comb += self.layer.eq(staged)
        return ahead
