from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

import rtl
from rtl.accelerator.activations import ActivationMemory
from rtl.accelerator.add import Add
from rtl.accelerator.constants import ParamReader, SequenceReader
from rtl.accelerator.descriptor import Kind
from rtl.accelerator.fetch import Fetch
from rtl.accelerator.host import HostPort
from rtl.accelerator.params import COUNT_BITS, AcceleratorParams
from rtl.accelerator.pool import Pool
from rtl.accelerator.registers import ADDRESS_BITS, Window
from rtl.accelerator.sequencer import Sequencer
from rtl.accelerator.store import Store
from rtl.gemm import Gemm
from rtl.im2col import Im2col
from rtl.layouts import ChannelParams
from rtl.postprocess import Requantizer

__all__ = ["Accelerator"]


class Accelerator(wiring.Component):
    """A whole network on its own: memories, a sequencer, and the units that a layer needs.

    The host writes program, weights, parameters and the input, says "go", and reads the output
    when the status says that nothing runs. See :mod:`rtl.accelerator.registers`.

    A layer's words come from the activation memory, pass one of up to three units (convolution,
    pool, add) and then the one requantizer, and go back. Layers run one after the other.

    Parameters
    ----------
    params : :class:`AcceleratorParams`

    Members
    -------
    commands : ``In(stream)``
        ``write``, ``address``, ``data``: a write, or a read, which answers on ``o``. Memories can
        be reached only while nothing runs; commands to them wait.
    o : ``Out(stream.Signature(32))``
        An answer for each read.
    done : ``Out(1)``
        Nothing runs.
    """

    def __init__(self, params):
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        self.params = params
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({
            "commands": In(stream.Signature(command)),
            "o": Out(stream.Signature(32)),
            "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        params, array = self.params, self.params.array
        word_bytes, lanes = params.word_bytes, params.lanes
        m.submodules.sequencer = sequencer = Sequencer(params)
        layer, kind = sequencer.layer, sequencer.layer.kind
        clear = ResetInserter(sequencer.clear)

        memory = ActivationMemory(word_bytes=word_bytes, words=params.words,
                                  output_register=params.output_register)
        fetch = Fetch(memory, count_bits=COUNT_BITS)
        store = Store(memory, lanes=lanes, pixel_lanes=params.pixel_lanes, count_bits=COUNT_BITS)
        weights = SequenceReader(width=8 * array.cols, depth=params.weight_rows,
                                 count_bits=COUNT_BITS, output_register=params.output_register)
        constants = SequenceReader(width=Shape.cast(ChannelParams).width, depth=params.channels,
                                   count_bits=COUNT_BITS)
        gather = ParamReader(lanes=lanes)
        im2col = Im2col(params.im2col)
        gemm = Gemm(array, depth=params.depth, lanes=lanes, pixel_lanes=params.pixel_lanes,
                    requantize=0, output_register=params.output_register)
        requantizer = Requantizer(lanes=lanes, cycles=params.requantize, rounding=params.rounding)
        m.submodules.memory = memory
        for name, unit in (
                ("fetch", fetch), ("store", store), ("weights", weights), ("params", constants),
                ("gather", gather), ("im2col", im2col), ("gemm", gemm),
                ("requantizer", requantizer)):
            m.submodules[name] = clear(unit)

        # Words in, by the kind of the layer.
        connect(m, im2col.o, gemm.i)
        source, rows = fetch.o, weights.o
        sources, readers, sums = ({Kind.CONV: im2col.i}, {Kind.CONV: gemm.weights},
                                  {Kind.CONV: gemm.o})
        m.d.comb += im2col.i.payload.eq(source.payload.data)
        if params.pooling:
            m.submodules.pool = pool = clear(Pool(word_bytes=word_bytes, lanes=lanes))
            sources[Kind.POOL], sums[Kind.POOL] = pool.i, pool.o
            m.d.comb += [pool.i.payload.eq(source.payload), pool.maximum.eq(layer.maximum),
                         pool.plain.eq(layer.plain)]
        if params.addition:
            m.submodules.add = add = clear(Add(
                word_bytes=word_bytes, lanes=lanes, cols=array.cols,
                output_register=params.output_register))
            sources[Kind.ADD], readers[Kind.ADD], sums[Kind.ADD] = add.i, add.weights, add.o
            m.d.comb += add.i.payload.eq(source.payload)
        m.d.comb += [target.payload.eq(rows.payload) for target in readers.values()]
        _route(m, kind, source, sources)
        _route(m, sequencer.ahead.kind, rows, readers)

        # Sums to the requantizer, and back to memory.
        with m.Switch(kind):
            for each, unit in sums.items():
                with m.Case(each):
                    m.d.comb += [
                        requantizer.i.valid.eq(unit.valid),
                        requantizer.i.payload.eq(unit.payload),
                        unit.ready.eq(requantizer.i.ready),
                    ]
        m.d.comb += [
            gather.i.valid.eq(constants.o.valid),
            gather.i.payload.eq(constants.o.payload),
            constants.o.ready.eq(gather.i.ready),
            requantizer.range.eq(layer.range),
        ]
        if params.rounding == "both":
            m.d.comb += requantizer.float32.eq(layer.float32)
        connect(m, gather.o, requantizer.params)
        connect(m, requantizer.o, store.i)

        # The layer.
        mapped = Signal()  # the im2col unit has this layer still to do
        m.d.comb += [
            fetch.config.eq(layer.fetch), store.config.eq(layer.store),
            weights.config.eq(sequencer.ahead.weights),
            constants.config.eq(sequencer.ahead.params),
            im2col.config.payload.eq(layer.conv), im2col.config.valid.eq(mapped),
            *(unit.init.eq(sequencer.init) for unit in (fetch, store)),
            weights.init.eq(sequencer.init_ahead.weights),
            constants.init.eq(sequencer.init_ahead.params),
            *(sequencer.outside[name].eq(unit.outside) for name, unit in (
                ("fetch", fetch), ("store", store), ("weights", weights), ("params", constants))),
            sequencer.reading.weights.eq(weights.busy), sequencer.reading.params.eq(constants.busy),
            sequencer.finished.eq(~store.busy & ~mapped),
            sequencer.moved.eq((fetch.o.valid & fetch.o.ready) | (im2col.o.valid & im2col.o.ready)
                               | (rows.valid & rows.ready)
                               | (requantizer.o.valid & requantizer.o.ready)),
            self.done.eq(~sequencer.running),
        ]
        with m.If(im2col.config.ready | sequencer.clear):
            m.d.sync += mapped.eq(0)
        with m.If(sequencer.init):
            m.d.sync += mapped.eq(kind == Kind.CONV)

        m.submodules.host = host = HostPort(params, version=rtl.__version__)
        connect(m, wiring.flipped(self.commands), host.commands)
        connect(m, host.o, wiring.flipped(self.o))
        running = sequencer.running
        activate = host.write[Window.ACTIVATIONS].replicate(word_bytes)
        m.d.comb += [
            *(getattr(host, name).eq(getattr(sequencer, name))
              for name in ("running", "error", "index", "cycles", "record_en", "record")),
            *(getattr(sequencer, name).eq(getattr(host, name))
              for name in ("go", "go_address", "stop")),
            memory.write_en.eq(Mux(running, store.write_en, activate)),
            memory.write_addr.eq(Mux(running, store.write_addr, host.address)),
            memory.write_data.eq(Mux(running, store.write_data.as_value(), host.data)),
            memory.read_en.eq(Mux(running, fetch.read_en, 1)),
            memory.read_addr.eq(Mux(running, fetch.read_addr, host.address)),
            fetch.read_data.eq(memory.read_data),
            host.activations.eq(memory.read_data),
        ]
        for window, unit in ((Window.PROGRAM, sequencer), (Window.WEIGHTS, weights),
                             (Window.PARAMS, constants)):
            m.d.comb += [unit.write_en.eq(host.write[window]), unit.write_addr.eq(host.address),
                         unit.write_data.eq(host.data)]
        return m


def _route(m, kind, source, targets):
    """Offer ``source`` to the target of this layer's kind."""
    for each, target in targets.items():
        m.d.comb += target.valid.eq(source.valid & (kind == each))
    with m.Switch(kind):
        for each, target in targets.items():
            with m.Case(each):
                m.d.comb += source.ready.eq(target.ready)
