from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

import rtl
from rtl.accelerator.add import Add
from rtl.accelerator.constants import ParamReader, SequenceReader
from rtl.accelerator.descriptor import Kind
from rtl.accelerator.fetch import Fetch
from rtl.accelerator.host import HostPort
from rtl.accelerator.memories import (
    SeparateMemories,
    UnifiedMemory,
    memories_of,
    outer_weights,
)
from rtl.accelerator.params import COUNT_BITS, AcceleratorParams
from rtl.accelerator.pool import Pool
from rtl.accelerator.registers import ADDRESS_BITS, Window
from rtl.accelerator.residual import Residual
from rtl.accelerator.sequencer import Sequencer
from rtl.accelerator.store import Store
from rtl.accelerator.walks import WalkReader, Walks
from rtl.gemm import Gemm
from rtl.im2col import Im2col
from rtl.layouts import ChannelParams, OutputRange
from rtl.postprocess import Requantizer
from rtl.spare import Spare

__all__ = ["Accelerator"]


class Accelerator(wiring.Component):
    """A whole network on its own: memories, a sequencer, and the units that a layer needs.

    The host writes program, weights, parameters and the input, says "go", and reads the output
    when the status says that nothing runs. See :mod:`rtl.accelerator.registers`.

    A layer's words come from the activation memory, pass one of up to three units (convolution,
    pool, add) and then the one requantizer, and go back. Layers run one after the other. Results of
    a convolution may pass the addition, with what lies where they go, and the requantizer again.

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
    clear : ``In(1)``
        Everything begins anew, as after a reset.
    done : ``Out(1)``
        Nothing runs.
    outer : ``Out(outer_weights(params))``
        With SDRAM: the weights.
    drop : ``Out(1)``
        With SDRAM: words that were asked for are not to come, those of this cycle included.
    """

    def __init__(self, params):
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        self.params = params
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({
            "commands": In(stream.Signature(command)),
            "o": Out(stream.Signature(32)),
            "clear": In(1),
            "done": Out(1),
            **({"outer": Out(outer_weights(params)), "drop": Out(1)} if params.sdram_bits else {}),
        })

    def elaborate(self, platform):
        m = Module()
        params, array = self.params, self.params.array
        word_bytes, lanes = params.word_bytes, params.lanes
        # What clears the sequencer has that clear all units, by a register.
        sequencer = Sequencer(params)
        m.submodules.sequencer = ResetInserter(self.clear)(sequencer)
        layer, kind = sequencer.layer, sequencer.layer.kind
        now, ahead = _kinds(m, "now", kind), _kinds(m, "ahead", sequencer.ahead.kind)
        clear = ResetInserter(sequencer.clear)

        memories = (UnifiedMemory if params.unified else SeparateMemories)(params)
        words = {"address_bits": ceil_log2(params.words), "word_bytes": word_bytes}
        store = Store(**words, lanes=lanes, cols=array.cols, pixel_lanes=params.pixel_lanes,
                      count_bits=COUNT_BITS, serial=params.serial,
                      **({"ahead": params.ahead, "reader": memories.residual_reader}
                         if params.fused else {}))
        if params.serial:
            fetch, weights, constants = (
                WalkReader(**words, **memories.readers, fetched=fetched)
                for fetched in (True, False, False))
        else:
            fetch = Fetch(**words, **memories.fetch_reader, count_bits=COUNT_BITS)
            weights, constants = (
                SequenceReader(width=width, depth=depth, **reader, count_bits=COUNT_BITS)
                for (width, depth), reader in (
                    (memories_of(params)[Window.WEIGHTS], memories.weight_reader),
                    (memories_of(params)[Window.PARAMS], memories.readers)))
        gather = ParamReader(lanes=lanes, width=len(constants.o.payload), direct=not params.serial)
        im2col = Im2col(params.im2col)
        gemm = Gemm(array, depth=params.depth, lanes=lanes, pixel_lanes=params.pixel_lanes,
                    requantize=0, output_register=params.output_register,
                    sum_bits=params.sum_bits)
        requantizer = Requantizer(lanes=lanes, cycles=params.requantize, rounding=params.rounding,
                                  twice=params.fused, bits=params.total_bits)
        m.submodules.memories = ResetInserter(self.clear)(memories)
        for name, unit in (
                ("fetch", fetch), ("store", store), ("weights", weights), ("params", constants),
                ("gather", gather), ("im2col", im2col), ("gemm", gemm),
                ("requantizer", requantizer)):
            m.submodules[name] = clear(unit)

        # Words in, by the kind of the layer.
        connect(m, im2col.o, gemm.i)
        source, rows = fetch.o.signature.create(path=("source",)), weights.o
        self._cut(m, "words", clear, fetch.o, flipped(source), latency=1)
        sources, readers, sums = ({Kind.CONV: im2col.i}, {Kind.CONV: gemm.weights},
                                  {Kind.CONV: self._spared(m, "drained", clear, gemm.o)})
        m.d.comb += im2col.i.payload.eq(source.payload.data)
        if params.pooling:
            m.submodules.pool = pool = clear(Pool(word_bytes=word_bytes, lanes=lanes))
            sources[Kind.POOL], sums[Kind.POOL] = pool.i, pool.o
            m.d.comb += [pool.i.payload.eq(source.payload), pool.maximum.eq(layer.maximum)]
        if params.addition:
            m.submodules.add = add = clear(Add(
                word_bytes=word_bytes, lanes=lanes, cols=array.cols, ahead=not params.serial,
                output_register=params.output_register))
            sources[Kind.ADD], readers[Kind.ADD] = add.i, add.weights
            m.d.comb += add.i.payload.eq(source.payload)
            if params.fused:
                readers[Kind.TABLE] = add.weights
            else:
                sums[Kind.ADD] = add.o
        m.d.comb += [target.payload.eq(rows.payload) for target in readers.values()]
        _route(m, now, source, sources)
        _route(m, ahead, rows, readers)

        # Sums to the requantizer, and back to memory.
        entering = gemm.o.signature.create(path=("entering",))
        leaving = stream.Signature(store.i.payload.shape()).create(path=("leaving",))
        self._cut(m, "sums", clear, entering, requantizer.i, latency=1)
        channels = gather.o.signature.create(path=("channels",))
        self._cut(m, "results", clear, leaving, store.i)
        self._cut(m, "constants", clear, gather.o, flipped(channels))
        may_enter = Signal(init=1)  # a convolution's, which may have to be claimed
        for each, unit in sums.items():
            enters = may_enter if each == Kind.CONV else 1
            with m.If(now[each]):
                m.d.comb += [
                    entering.valid.eq(unit.valid & enters),
                    entering.payload.eq(unit.payload),
                    unit.ready.eq(entering.ready & enters),
                ]
        m.d.comb += [
            gather.i.valid.eq(constants.o.valid),
            gather.i.payload.eq(constants.o.payload),
            constants.o.ready.eq(gather.i.ready),
            requantizer.params.valid.eq(channels.valid),
            requantizer.params.payload.eq(channels.payload),
            channels.ready.eq(requantizer.params.ready),
            requantizer.range.eq(layer.range),
            leaving.valid.eq(requantizer.o.valid),
            leaving.payload.data.eq(requantizer.o.payload.data),
            leaving.payload.last.eq(requantizer.o.payload.last),
            requantizer.o.ready.eq(leaving.ready),
        ]
        if params.rounding == "both":
            m.d.comb += requantizer.float32.eq(layer.float32)
        if params.narrow_range:
            m.d.comb += requantizer.narrow.eq(layer.narrow)
        lacks = Const(0)  # what the layer loads is not all there
        if params.fused:
            m.submodules.residual = residual = clear(Residual(
                word_bytes=word_bytes, lanes=lanes, room=params.ahead // 2))
            lacks = self._connect_sums(m, clear, sequencer, now, add, residual, channels,
                                       requantizer, store, may_enter, entering, leaving)

        if not params.serial:  # a walk leads to a word every second cycle at the most
            m.d.comb += constants.more.eq(gather.more)

        # The layer.
        mapped = Signal()  # the im2col unit has this layer still to do
        movers = {"fetch": fetch, "store": store, "weights": weights, "params": constants}
        moves = sequencer.init & (kind != Kind.TABLE)
        inits = {"fetch": moves, "store": moves,
                 "weights": sequencer.init_ahead.weights, "params": sequencer.init_ahead.params}
        if params.serial:
            m.submodules.walks = walks = clear(Walks(params))
            self._connect_walks(m, walks, sequencer, movers, inits, im2col)
        else:
            m.d.comb += [
                fetch.config.eq(layer.fetch),
                weights.config.eq(sequencer.ahead.weights),
                constants.config.eq(sequencer.ahead.params),
                *(movers[name].init.eq(init) for name, init in inits.items() if name != "store"),
            ]
        m.d.comb += [
            store.config.eq(layer.store), store.init.eq(moves),
            im2col.config.payload.eq(layer.conv), im2col.config.valid.eq(mapped),
            *(sequencer.outside[name].eq(unit.outside) for name, unit in movers.items()),
            sequencer.reading.weights.eq(weights.busy), sequencer.reading.params.eq(constants.busy),
            sequencer.finished.eq(~store.busy & ~mapped & ~lacks),
            sequencer.mapped.eq(mapped),
            sequencer.moved.eq((source.valid & source.ready) | (im2col.o.valid & im2col.o.ready)
                               | (rows.valid & rows.ready)
                               | (requantizer.o.valid & requantizer.o.ready)),
            self.done.eq(~sequencer.running),
        ]
        with m.If(im2col.config.ready | sequencer.clear):
            m.d.sync += mapped.eq(0)
        with m.If(sequencer.init):
            m.d.sync += mapped.eq(kind == Kind.CONV)

        host = HostPort(params, version=rtl.__version__)
        m.submodules.host = ResetInserter(self.clear)(host)
        connect(m, flipped(self.commands), host.commands)
        connect(m, host.o, flipped(self.o))
        connect(m, host.memories, memories.host)
        for name, unit in {**movers, "program": sequencer}.items():
            connect(m, unit.port, getattr(memories, name))
        if params.fused:
            connect(m, store.residual, memories.residual)
        if params.sdram_bits:
            connect(m, memories.outer, wiring.flipped(self.outer))
            m.d.comb += self.drop.eq(sequencer.clear)
        m.d.comb += [
            *(getattr(host, name).eq(getattr(sequencer, name))
              for name in ("running", "error", "index", "cycles", "record_en", "record")),
            *(getattr(sequencer, name).eq(getattr(host, name))
              for name in ("go", "go_address", "stop")),
        ]
        return m

    def _connect_walks(self, m, walks, sequencer, movers, inits, im2col):
        """Where all that is moved comes from, or goes to."""
        m.d.comb += [
            walks.write.eq(sequencer.loader.comes & (sequencer.loader.number < walks.words)),
            walks.number.eq(sequencer.loader.number), walks.word.eq(sequencer.loader.word),
            walks.several.eq(sequencer.layer.several),
            movers["store"].carried.eq(walks.carried),
        ]
        for name, unit in movers.items():
            connect(m, getattr(walks, name), unit.places)
            m.d.comb += [walks.init[name].eq(inits[name]), unit.walking.eq(walks.busy[name])]
        conv = sequencer.layer.conv
        connect(m, walks.tiles, im2col.tiles)
        m.d.comb += [
            walks.init.tiles.eq(sequencer.init & (sequencer.layer.kind == Kind.CONV)),
            walks.band.eq(conv.band), walks.last_band.eq(conv.last_band),
            im2col.tiles_over.eq(~walks.busy.tiles),
        ]

    def _cut(self, m, name, clear, source, target, *, latency=0):
        """Connect two units; where memories have their output registers, by a :class:`Spare`."""
        connect(m, self._spared(m, name, clear, source, latency=latency), target)

    def _spared(self, m, name, clear, source, *, latency=0):
        """``source`` behind a :class:`Spare`, where memories have their output registers."""
        if not self.params.output_register:
            return source
        m.submodules[name] = spare = clear(Spare(source.payload.shape(), latency=latency))
        connect(m, source, spare.i)
        return spare.o

    def _connect_sums(self, m, clear, sequencer, now, add, residual, channels, requantizer, store,
                      may_enter, entering, leaving):
        """Sums, of words or of results that have left the requantizer once, go through it with the
        parameters and the range of their own, which a layer loads with the table. Returns whether
        it lacks them or the table."""
        layer, kind = sequencer.layer, sequencer.layer.kind
        wanted, range_ = Signal(), Signal(OutputRange, reset_less=True)
        held = Signal(ChannelParams, reset_less=True)
        with m.If(sequencer.init):
            m.d.sync += wanted.eq((kind == Kind.ADD) | (kind == Kind.TABLE))
        with m.If(wanted):
            m.d.comb += channels.ready.eq(1)
            m.d.sync += [held.eq(channels.payload[0]), range_.eq(layer.range)]
            with m.If(channels.valid):
                m.d.sync += wanted.eq(0)
        with m.If(sequencer.clear):
            m.d.sync += wanted.eq(0)

        fused, first = Signal(), Signal()
        totals = add.o.signature.create(path=("totals",))
        self._cut(m, "totals", clear, totals, requantizer.again, latency=1)
        m.d.sync += fused.eq(layer.sum & (kind == Kind.CONV))  # as `now`
        m.d.comb += [
            first.eq(fused & ~requantizer.o.payload.again),
            totals.valid.eq(add.o.valid & ~wanted),
            totals.payload.acc.eq(add.o.payload.acc),
            totals.payload.last.eq(add.o.payload.last | fused),
            add.o.ready.eq(totals.ready & ~wanted),
            requantizer.again_params.multiplier.eq(held.multiplier),  # tables include the bias
            requantizer.again_params.shift.eq(held.shift),
            requantizer.again_range.eq(range_),
            store.sum.eq(fused),
            residual.turned.eq(layer.turned),
            residual.claim.eq(fused & entering.valid & entering.ready),
            may_enter.eq(~fused | residual.free),
            residual.i.valid.eq(requantizer.o.valid & first),
            residual.i.payload.eq(requantizer.o.payload.data),
            leaving.valid.eq(requantizer.o.valid & ~first),
            requantizer.o.ready.eq(first | leaving.ready),
            residual.words.valid.eq(store.words.valid),
            residual.words.payload.eq(store.words.payload),
            store.words.ready.eq(residual.words.ready),
            add.single.eq(fused),
            add.at.eq(residual.at),
        ]
        with m.If(fused):
            m.d.comb += [add.i.valid.eq(residual.o.valid), residual.o.ready.eq(add.i.ready),
                         add.i.payload.eq(residual.o.payload)]
        return now[Kind.TABLE] & (wanted | ~add.loaded)


def _kinds(m, name, kind):
    """Whether ``kind`` was each of them in the last cycle: in registers, as everything waits for
    them, and nothing moves in the first cycle of a layer."""
    kinds = {each: Signal(name=f"{name}_{each.name.lower()}") for each in Kind}
    m.d.sync += [known.eq(kind == each) for each, known in kinds.items()]
    return kinds


def _route(m, kinds, source, targets):
    """Offer ``source`` to the target of this layer's kind."""
    for each, target in targets.items():
        with m.If(kinds[each]):
            m.d.comb += [target.valid.eq(source.valid), source.ready.eq(target.ready)]
