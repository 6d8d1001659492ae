from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

import rtl
from rtl.accelerator.build_units import Units
from rtl.accelerator.control.descriptor import Kind
from rtl.accelerator.control.host_port import HostPort
from rtl.accelerator.memories import outer_weights
from rtl.accelerator.params import AcceleratorParams
from rtl.accelerator.registers import ADDRESS_BITS
from rtl.layouts import ChannelParams, OutputRange
from rtl.stream.skid_buffer import SkidBuffer
from rtl.validate import of_type

__all__ = ["Accelerator"]


class Accelerator(wiring.Component):
    """Runs a whole network: memories, a sequencer, and the units that a layer needs.

    The host writes program, weights, parameters and the input, starts a run, and reads the output
    when the status tells that nothing runs. See :mod:`rtl.accelerator.registers`.

    A layer's words come from the activation memory, pass one of up to three units (convolution,
    pooling, addition) and then the one requantizer, and go back. Layers run one after the other.
    Results of a convolution may be added to the words that they replace, and pass the requantizer a
    second time.

    Parameters
    ----------
    params : :class:`AcceleratorParams`

    Members
    -------
    commands : ``In(stream)``
        ``write``, ``address``, ``data``: a write, or a read, which is answered on ``o``.
        Activations can be accessed at any time; commands to other memories wait until nothing runs.
    o : ``Out(stream.Signature(32))``
        An answer for each read.
    clear : ``In(1)``
        Resets everything.
    done : ``Out(1)``
        Nothing runs.
    outer : ``Out(outer_weights(params))``
        With SDRAM: the weights.
    drop : ``Out(1)``
        With SDRAM: discard the words of all reads under way, including one that comes in this
        cycle.
    """

    def __init__(self, params):
        self.params = of_type("params", params, AcceleratorParams)
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
        units = Units(self.params)
        sequencer = units.sequencer
        # Clearing the sequencer makes it clear all units, through a register.
        m.submodules.sequencer = ResetInserter(self.clear)(sequencer)
        now, ahead = (_kinds(m, "now", sequencer.layer.kind),
                      _kinds(m, "ahead", sequencer.ahead.kind))
        m.submodules.memories = ResetInserter(self.clear)(units.memories)
        for name in ("fetch", "store", "weights", "params", "gather", "im2col", "gemm",
                     "requantizer"):
            m.submodules[name] = units.clear(getattr(units, name))
        words, sums = self._connect_words(m, units, now, ahead)
        lacks = self._connect_results(m, units, now, sums)
        self._connect_layer(m, units, words, lacks)
        self._connect_host(m, units)
        return m

    def _connect_words(self, m, units, now, ahead):
        """Words of tensors and rows of weights go to the unit of the layer's kind. Returns the
        stream of these words, and the streams of sums by the kind of their unit."""
        params, layer, clear = self.params, units.sequencer.layer, units.clear
        im2col, gemm, pool, add = units.im2col, units.gemm, units.pool, units.add
        connect(m, im2col.o, gemm.i)
        fetch, rows = units.fetch, units.weights.o
        source = fetch.o.signature.create(path=("source",))
        self._connect(m, "words", clear, fetch.o, flipped(source), latency=1)
        sources, readers, sums = ({Kind.CONV: im2col.i}, {Kind.CONV: gemm.weights},
                                  {Kind.CONV: self._buffered(m, "drained", clear, gemm.o)})
        m.d.comb += im2col.i.payload.eq(source.payload.data)
        if pool:
            m.submodules.pool = clear(pool)
            sources[Kind.POOL], sums[Kind.POOL] = pool.i, pool.o
            m.d.comb += [pool.i.payload.eq(source.payload), pool.maximum.eq(layer.maximum)]
        if add:
            m.submodules.add = clear(add)
            sources[Kind.ADD], readers[Kind.ADD] = add.i, add.weights
            m.d.comb += add.i.payload.eq(source.payload)
            if params.fused:
                readers[Kind.TABLE] = add.weights
            else:
                sums[Kind.ADD] = add.o
        m.d.comb += [target.payload.eq(rows.payload) for target in readers.values()]
        _route(m, now, source, sources)
        _route(m, ahead, rows, readers)
        return source, sums

    def _connect_results(self, m, units, now, sums):
        """Sums go to the requantizer, and its results to memory. Returns whether a layer that loads
        something waits for a part of it."""
        params, layer, clear = self.params, units.sequencer.layer, units.clear
        gemm, requantizer, store = units.gemm, units.requantizer, units.store
        gather, constants = units.gather, units.params
        entering = gemm.o.signature.create(path=("entering",))
        leaving = stream.Signature(store.i.payload.shape()).create(path=("leaving",))
        self._connect(m, "sums", clear, entering, requantizer.i, latency=1)
        channels = gather.o.signature.create(path=("channels",))
        self._connect(m, "results", clear, leaving, store.i)
        self._connect(m, "constants", clear, gather.o, flipped(channels))
        may_enter = Signal(init=1)  # sums of a convolution, whose results may have to be claimed
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
        if params.short_acc_range:
            m.d.comb += requantizer.narrow.eq(layer.narrow)
        lacks = Const(0)
        if params.fused:
            m.submodules.residual = clear(units.residual)
            lacks = self._connect_sums(m, units, now, channels, may_enter, entering, leaving)
        if not params.shared_agu:  # whose addresses come every second cycle at best
            m.d.comb += constants.more.eq(gather.more)
        return lacks

    def _connect_layer(self, m, units, words, lacks):
        """A layer begins with the configuration of its units, and ends when all are done."""
        sequencer, im2col, dma = units.sequencer, units.im2col, units.dma
        layer, rows, requantizer = sequencer.layer, units.weights.o, units.requantizer
        mapped = Signal()  # the im2col unit has this layer still to do
        moves = sequencer.init & (layer.kind != Kind.TABLE)
        inits = {"fetch": moves, "store": moves,
                 "weights": sequencer.init_ahead.weights, "params": sequencer.init_ahead.params}
        if self.params.shared_agu:
            m.submodules.walks = units.clear(units.agu)
            self._connect_agu(m, units, inits)
        else:
            m.d.comb += [
                units.fetch.config.eq(layer.fetch),
                units.weights.config.eq(sequencer.ahead.weights),
                units.params.config.eq(sequencer.ahead.params),
                *(dma[name].init.eq(init) for name, init in inits.items() if name != "store"),
            ]
        m.d.comb += [
            units.store.config.eq(layer.store), units.store.init.eq(moves),
            im2col.config.payload.eq(layer.conv), im2col.config.valid.eq(mapped),
            *(sequencer.outside[name].eq(unit.outside) for name, unit in dma.items()),
            sequencer.reading.weights.eq(units.weights.busy),
            sequencer.reading.params.eq(units.params.busy),
            sequencer.finished.eq(~units.store.busy & ~mapped & ~lacks),
            sequencer.mapped.eq(mapped),
            sequencer.moved.eq((words.valid & words.ready) | (im2col.o.valid & im2col.o.ready)
                               | (rows.valid & rows.ready)
                               | (requantizer.o.valid & requantizer.o.ready)),
            self.done.eq(~sequencer.running),
        ]
        with m.If(im2col.config.ready | sequencer.clear):
            m.d.sync += mapped.eq(0)
        with m.If(sequencer.init):
            m.d.sync += mapped.eq(layer.kind == Kind.CONV)

    def _connect_host(self, m, units):
        """The host accesses memories and the sequencer; the units' ports go to memories too."""
        params, sequencer, memories = self.params, units.sequencer, units.memories
        host = HostPort(params, version=rtl.__version__)
        m.submodules.host = ResetInserter(self.clear)(host)
        connect(m, flipped(self.commands), host.commands)
        connect(m, host.o, flipped(self.o))
        connect(m, host.memories, memories.host)
        for name, unit in {**units.dma, "program": sequencer}.items():
            connect(m, unit.port, getattr(memories, name))
        if params.fused:
            connect(m, units.store.residual, memories.residual)
        if params.sdram_bits:
            connect(m, memories.outer, wiring.flipped(self.outer))
            m.d.comb += self.drop.eq(sequencer.clear)
        m.d.comb += [
            *(getattr(host, name).eq(getattr(sequencer, name))
              for name in ("running", "error", "index", "cycles", "record_en", "record")),
            *(getattr(sequencer, name).eq(getattr(host, name))
              for name in ("go", "go_address", "stop")),
        ]

    def _connect_agu(self, m, units, inits):
        """Units get their addresses from the shared generator."""
        agu, sequencer, dma, im2col = units.agu, units.sequencer, units.dma, units.im2col
        m.d.comb += [
            agu.write.eq(sequencer.loader.comes & (sequencer.loader.number < agu.words)),
            agu.number.eq(sequencer.loader.number), agu.word.eq(sequencer.loader.word),
            agu.several.eq(sequencer.layer.several),
            dma["store"].carried.eq(agu.carried),
        ]
        for name, unit in dma.items():
            connect(m, getattr(agu, name), unit.places)
            m.d.comb += [agu.init[name].eq(inits[name]), unit.walking.eq(agu.busy[name])]
        conv = sequencer.layer.conv
        connect(m, agu.tiles, im2col.tiles)
        m.d.comb += [
            agu.init.tiles.eq(sequencer.init & (sequencer.layer.kind == Kind.CONV)),
            agu.band.eq(conv.band), agu.last_band.eq(conv.last_band),
            im2col.tiles_over.eq(~agu.busy.tiles),
        ]

    def _connect(self, m, name, clear, source, target, *, latency=0):
        """Connect two units, by a :class:`SkidBuffer` where memories have their output registers.
        """
        connect(m, self._buffered(m, name, clear, source, latency=latency), target)

    def _buffered(self, m, name, clear, source, *, latency=0):
        """``source`` behind a :class:`SkidBuffer`, where memories have their output registers."""
        if not self.params.output_register:
            return source
        m.submodules[name] = spare = clear(SkidBuffer(source.payload.shape(), latency=latency))
        connect(m, source, spare.i)
        return spare.o

    def _connect_sums(self, m, units, now, channels, may_enter, entering, leaving):
        """Sums of two words, or of a word and a result of the requantizer, go through that (again)
        with parameters and a range of their own, which a layer loads with the table. Returns
        whether it waits for these or the table."""
        sequencer, requantizer, store = units.sequencer, units.requantizer, units.store
        add, residual = units.add, units.residual
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
        self._connect(m, "totals", units.clear, totals, requantizer.again, latency=1)
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
    """For each kind, whether it was ``kind`` in the last cycle. Registers, as they drive much; in
    the first cycle of a layer there are no transfers."""
    kinds = {each: Signal(name=f"{name}_{each.name.lower()}") for each in Kind}
    m.d.sync += [known.eq(kind == each) for each, known in kinds.items()]
    return kinds


def _route(m, kinds, source, targets):
    """Offer ``source`` to the target of this layer's kind."""
    for each, target in targets.items():
        with m.If(kinds[each]):
            m.d.comb += [target.valid.eq(source.valid), source.ready.eq(target.ready)]
