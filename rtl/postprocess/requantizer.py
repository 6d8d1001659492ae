from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.check import integer, one_of
from rtl.layouts import SHIFT_WIDTH, ChannelParams, OutputRange, bytes_of, sums_of
from rtl.postprocess.pipelined import PipelinedScale
from rtl.postprocess.rounding import Rounding
from rtl.postprocess.serial import SerialScale

__all__ = ["Requantizer"]


class Requantizer(wiring.Component):
    """Accumulators to int8, as TensorFlow Lite Micro rounds them, with parameters per channel.

    ``x = acc + bias`` in 32 bits; ``t = (x * multiplier + 2^30) >> 31``, ties upwards;
    ``y = t / 2^shift``, ties away from zero; ``data = clamp(y + zero_point, low, high)``.

    The second rounding subtracts 1 from a negative ``t`` first. That is the same as to form ``t``
    with ``-2^30`` in place of ``2^30`` where ``x`` is negative: then ``y`` is ``t >> shift`` plus
    the last bit shifted out. Where ``x`` is negative but ``t`` is not (``x * multiplier`` is just
    ``-2^30``, or 0) this gives 0 all the same. Without a shift nothing is subtracted.

    One beat in ``cycles`` cycles, and with a serial multiplier two cycles more for each change of
    parameters; a beat leaves ``latency`` cycles after it was taken if nothing
    stalls. ``i.ready`` and ``params.ready`` depend combinationally on ``o.ready``.

    Parameters
    ----------
    lanes : :class:`int`
        Channels in a beat, each with a multiplier of its own.
    cycles : :class:`int`
        1 takes four DSPs a lane on ECP5; 2, 3, 4 or 6 multiply digit by digit in LUTs.

    Members
    -------
    i : ``In(stream.Signature(sums_of(lanes)))``
    params : ``In(stream.Signature(ArrayLayout(ChannelParams, lanes)))``
        For the beats up to the next one with ``last``, with which they are taken.
    range : ``In(OutputRange)``
        Holds while anything is under way.
    o : ``Out(stream.Signature({"data": bytes_of(lanes), "last": 1}))``
    """

    def __init__(self, *, lanes=1, cycles=1, rounding="tflm"):
        self.lanes = integer("lanes", lanes, 1, 32)
        self.cycles = one_of("cycles", cycles, (1, 2, 3, 4, 6))
        self.rounding = one_of("rounding", rounding, ("tflm",))
        self.latency = PipelinedScale.latency + 2 if cycles == 1 else cycles + 2
        output = data.StructLayout({"data": bytes_of(lanes), "last": 1})
        super().__init__({
            "i": In(stream.Signature(sums_of(lanes))),
            "params": In(stream.Signature(data.ArrayLayout(ChannelParams, lanes))),
            "range": In(OutputRange),
            "o": Out(stream.Signature(output)),
        })

    def elaborate(self, platform):
        m = Module()
        advance = Signal()
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        if self.cycles == 1:
            self._elaborate_pipelined(m, advance)
        else:
            self._elaborate_serial(m, advance)
        return m

    def _rounding(self, m, lane, *, registered, enable, scaled, shift):
        m.submodules[f"rounding_{lane}"] = rounding = Rounding(registered=registered)
        m.d.comb += [
            rounding.enable.eq(enable),
            rounding.scaled.eq(scaled),
            rounding.shift.eq(shift),
            rounding.range.eq(self.range),
        ]
        with m.If(enable):
            m.d.sync += self.o.payload.data[lane].eq(rounding.o)

    def _elaborate_pipelined(self, m, advance):
        """Everything moves together, or halts."""
        m.d.comb += [
            self.i.ready.eq(advance & self.params.valid),
            self.params.ready.eq(advance & self.i.valid & self.i.payload.last),
        ]
        beat = data.StructLayout({
            "valid": 1, "last": 1, "shift": data.ArrayLayout(SHIFT_WIDTH, self.lanes)})
        beats = [Signal(beat, name=f"beat_{n}") for n in range(self.latency)]
        m.d.comb += [
            beats[0].valid.eq(self.i.valid & self.params.valid),
            beats[0].last.eq(self.i.payload.last),
            *(beats[0].shift[lane].eq(self.params.payload[lane].shift)
              for lane in range(self.lanes)),
        ]
        with m.If(advance):
            m.d.sync += [after.eq(before)
                         for before, after in zip(beats, beats[1:], strict=False)]
            m.d.sync += [self.o.valid.eq(beats[-1].valid), self.o.payload.last.eq(beats[-1].last)]
        for lane in range(self.lanes):
            m.submodules[f"scale_{lane}"] = scale = PipelinedScale()
            self._connect(m, lane, scale)
            m.d.comb += scale.enable.eq(advance)
            self._rounding(m, lane, registered=True, enable=advance, scaled=scale.scaled,
                           shift=beats[scale.latency].shift[lane])

    def _elaborate_serial(self, m, advance):
        """A beat is loaded, stepped through, and rounded while the next one takes its first step.

        The parameters of a group are in use until its last beat is rounded.
        """
        busy, last = Signal(), Signal()              # a beat takes its steps
        pending, pending_last = Signal(), Signal()   # a beat waits to be rounded
        step = Signal(range(self.cycles))
        go, load, ends, finish = Signal(), Signal(), Signal(), Signal()
        free = ~(busy & last) & ~(pending & pending_last)
        m.d.comb += [
            go.eq(~pending | advance),
            ends.eq(busy & (step == self.cycles - 1)),
            self.i.ready.eq(go & (~busy | ends) & free & self.params.valid),
            load.eq(self.i.valid & self.i.ready),
            finish.eq(pending & advance),
            self.params.ready.eq(finish & pending_last),
        ]
        with m.If(go):
            m.d.sync += [pending.eq(ends), pending_last.eq(last)]
            with m.If(busy):
                m.d.sync += step.eq(Mux(ends, 0, step + 1))
            with m.If(load | ends):
                m.d.sync += [busy.eq(load), last.eq(self.i.payload.last)]
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(pending), self.o.payload.last.eq(pending_last)]
        for lane in range(self.lanes):
            m.submodules[f"scale_{lane}"] = scale = SerialScale(cycles=self.cycles)
            self._connect(m, lane, scale)
            m.d.comb += [scale.load.eq(load), scale.run.eq(busy & go), scale.step.eq(step)]
            self._rounding(m, lane, registered=False, enable=finish, scaled=scale.scaled,
                           shift=self.params.payload[lane].shift)

    def _connect(self, m, lane, scale):
        params = self.params.payload[lane]
        m.d.comb += [
            scale.acc.eq(self.i.payload.acc[lane]),
            scale.bias.eq(params.bias),
            scale.multiplier.eq(params.multiplier),
            scale.shifted.eq(params.shift != 0),
        ]
