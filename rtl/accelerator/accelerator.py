from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

import rtl
from rtl.accelerator.add import Add
from rtl.accelerator.constants import ParamReader, SequenceReader
from rtl.accelerator.descriptor import Kind
from rtl.accelerator.fetch import Fetch
from rtl.accelerator.host import HostPort
from rtl.accelerator.memories import SeparateMemories, UnifiedMemory, memories_of
from rtl.accelerator.params import COUNT_BITS, AcceleratorParams
from rtl.accelerator.pool import Pool
from rtl.accelerator.registers import ADDRESS_BITS, Window
from rtl.accelerator.sequencer import Sequencer
from rtl.accelerator.store import Store
from rtl.gemm import Gemm
from rtl.im2col import Im2col
from rtl.postprocess import Requantizer
from rtl.spare import Spare

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
        ``write``, ``address``, ``data``: a write, or a read, which answers on ``o``. Activations
        can be reached at any time, other memories while nothing runs: commands to them wait.
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

        memories = (UnifiedMemory if params.unified else SeparateMemories)(params)
        words = {"address_bits": ceil_log2(params.words), "word_bytes": word_bytes}
        fetch = Fetch(**words, **memories.readers, count_bits=COUNT_BITS)
        store = Store(**words, lanes=lanes, pixel_lanes=params.pixel_lanes, count_bits=COUNT_BITS)
        weights, constants = (
            SequenceReader(width=width, depth=depth, **memories.readers, count_bits=COUNT_BITS)
            for width, depth in (memories_of(params)[window]
                                 for window in (Window.WEIGHTS, Window.PARAMS)))
        gather = ParamReader(lanes=lanes, width=len(constants.o.payload))
        im2col = Im2col(params.im2col)
        gemm = Gemm(array, depth=params.depth, lanes=lanes, pixel_lanes=params.pixel_lanes,
                    requantize=0, output_register=params.output_register)
        requantizer = Requantizer(lanes=lanes, cycles=params.requantize, rounding=params.rounding)
        m.submodules.memories = memories
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
            m.d.comb += [pool.i.payload.eq(source.payload), pool.maximum.eq(layer.maximum)]
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
        entering = gemm.o.signature.create(path=("entering",))
        self._cut(m, "sums", clear, entering, requantizer.i, latency=1)
        with m.Switch(kind):
            for each, unit in sums.items():
                with m.Case(each):
                    m.d.comb += [
                        entering.valid.eq(unit.valid),
                        entering.payload.eq(unit.payload),
                        unit.ready.eq(entering.ready),
                    ]
        m.d.comb += [
            gather.i.valid.eq(constants.o.valid),
            gather.i.payload.eq(constants.o.payload),
            constants.o.ready.eq(gather.i.ready), constants.more.eq(gather.more),
            requantizer.range.eq(layer.range),
        ]
        if params.rounding == "both":
            m.d.comb += requantizer.float32.eq(layer.float32)
        connect(m, gather.o, requantizer.params)
        self._cut(m, "results", clear, requantizer.o, store.i)

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
        connect(m, host.memories, memories.host)
        for name, unit in (("fetch", fetch), ("store", store), ("weights", weights),
                           ("params", constants), ("program", sequencer)):
            connect(m, unit.port, getattr(memories, name))
        m.d.comb += [
            *(getattr(host, name).eq(getattr(sequencer, name))
              for name in ("running", "error", "index", "cycles", "record_en", "record")),
            *(getattr(sequencer, name).eq(getattr(host, name))
              for name in ("go", "go_address", "stop")),
        ]
        return m

    def _cut(self, m, name, clear, source, target, *, latency=0):
        """Connect two units; where memories have their output registers, by a :class:`Spare`."""
        if not self.params.output_register:
            connect(m, source, target)
            return
        m.submodules[name] = spare = clear(Spare(source.payload.shape(), latency=latency))
        connect(m, source, spare.i)
        connect(m, spare.o, target)


def _route(m, kind, source, targets):
    """Offer ``source`` to the target of this layer's kind."""
    for each, target in targets.items():
        m.d.comb += target.valid.eq(source.valid & (kind == each))
    with m.Switch(kind):
        for each, target in targets.items():
            with m.Case(each):
                m.d.comb += source.ready.eq(target.ready)
