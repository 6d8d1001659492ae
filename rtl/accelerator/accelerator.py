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
        units = Units(self.params)
        sequencer = units.sequencer
        # What clears the sequencer has that clear all units, by a register.
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
        stream of those words, and the units' sums by their kind."""
        params, layer, clear = self.params, units.sequencer.layer, units.clear
        im2col, gemm, pool, add = units.im2col, units.gemm, units.pool, units.add
        connect(m, im2col.o, gemm.i)
        fetch, rows = units.fetch, units.weights.o
        source = fetch.o.signature.create(path=("source",))
        self._cut(m, "words", clear, fetch.o, flipped(source), latency=1)
        sources, readers, sums = ({Kind.CONV: im2col.i}, {Kind.CONV: gemm.weights},
                                  {Kind.CONV: self._spared(m, "drained", clear, gemm.o)})
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
        """Sums go to the requantizer, and what it makes of them to memory. Returns whether a layer
        that loads something lacks a part of it."""
        params, layer, clear = self.params, units.sequencer.layer, units.clear
        gemm, requantizer, store = units.gemm, units.requantizer, units.store
        gather, constants = units.gather, units.params
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
        if params.short_acc_range:
            m.d.comb += requantizer.narrow.eq(layer.narrow)
        lacks = Const(0)
        if params.fused:
            m.submodules.residual = clear(units.residual)
            lacks = self._connect_sums(m, units, now, channels, may_enter, entering, leaving)
        if not params.shared_agu:  # a walk leads to a word every second cycle at the most
            m.d.comb += constants.more.eq(gather.more)
        return lacks

    def _connect_layer(self, m, units, words, lacks):
        """A layer begins with what its descriptor says, and ends when nothing of it is left."""
        sequencer, im2col, movers = units.sequencer, units.im2col, units.movers
        layer, rows, requantizer = sequencer.layer, units.weights.o, units.requantizer
        mapped = Signal()  # the im2col unit has this layer still to do
        moves = sequencer.init & (layer.kind != Kind.TABLE)
        inits = {"fetch": moves, "store": moves,
                 "weights": sequencer.init_ahead.weights, "params": sequencer.init_ahead.params}
        if self.params.shared_agu:
            m.submodules.walks = units.clear(units.walks)
            self._connect_walks(m, units, inits)
        else:
            m.d.comb += [
                units.fetch.config.eq(layer.fetch),
                units.weights.config.eq(sequencer.ahead.weights),
                units.params.config.eq(sequencer.ahead.params),
                *(movers[name].init.eq(init) for name, init in inits.items() if name != "store"),
            ]
        m.d.comb += [
            units.store.config.eq(layer.store), units.store.init.eq(moves),
            im2col.config.payload.eq(layer.conv), im2col.config.valid.eq(mapped),
            *(sequencer.outside[name].eq(unit.outside) for name, unit in movers.items()),
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
        """The host reaches memories and the sequencer; so do those that move words."""
        params, sequencer, memories = self.params, units.sequencer, units.memories
        host = HostPort(params, version=rtl.__version__)
        m.submodules.host = ResetInserter(self.clear)(host)
        connect(m, flipped(self.commands), host.commands)
        connect(m, host.o, flipped(self.o))
        connect(m, host.memories, memories.host)
        for name, unit in {**units.movers, "program": sequencer}.items():
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

    def _connect_walks(self, m, units, inits):
        """Where all that is moved comes from, or goes to."""
        walks, sequencer, movers, im2col = (units.walks, units.sequencer, units.movers,
                                            units.im2col)
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
        """Connect two units; where memories have their output registers, by a
        :class:`SkidBuffer`."""
        connect(m, self._spared(m, name, clear, source, latency=latency), target)

    def _spared(self, m, name, clear, source, *, latency=0):
        """``source`` behind a :class:`SkidBuffer`, where memories have their output registers."""
        if not self.params.output_register:
            return source
        m.submodules[name] = spare = clear(SkidBuffer(source.payload.shape(), latency=latency))
        connect(m, source, spare.i)
        return spare.o

    def _connect_sums(self, m, units, now, channels, may_enter, entering, leaving):
        """Sums, of words or of results that have left the requantizer once, go through it with the
        parameters and the range of their own, which a layer loads with the table. Returns whether
        it lacks them or the table."""
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
        self._cut(m, "totals", units.clear, totals, requantizer.again, latency=1)
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
