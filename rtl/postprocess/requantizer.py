from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import ChannelParams, OutputRange, bytes_of, sums_of
from rtl.postprocess.pipelined import ROUNDINGS, PipelinedLane
from rtl.postprocess.serial import SerialLane, short_acc_range
from rtl.validate import boolean, integer, one_of

__all__ = ["Requantizer"]


class Requantizer(wiring.Component):
    """Accumulators to int8, with parameters for each channel, rounded as a runtime does.

    As TensorFlow Lite Micro: ``x = acc + bias`` in 32 bits;
    ``t = (x * multiplier + 2^30) >> 31``, ties upwards; ``y = t / 2^shift``, ties away from zero;
    ``data = clamp(y + zero_point, low, high)``.

    The second rounding subtracts 1 from a negative ``t`` first. That is equivalent to forming ``t``
    with ``-2^30`` in place of ``2^30`` where ``x`` is negative: then ``y`` is ``t >> shift`` plus
    the last bit shifted out. Where ``x`` is negative but ``t`` is not (``x * multiplier`` is
    ``-2^30`` exactly, or 0) this gives 0 all the same. Without a shift nothing is subtracted.

    In float32, as LiteRT's default delegate and onnxruntime: ``multiplier`` holds the bits of a
    float32, and ``y = rint(float32(x) * multiplier)``, each step rounded to nearest, ties to even.

    Throughput is a beat in ``cycles`` cycles; a serial multiplier takes two more for each change of
    parameters. A beat leaves ``latency`` cycles after it was taken if nothing stalls. A serial
    multiplier of more than two cycles takes one less for each beat of ``i`` while ``narrow``.
    ``i.ready``, ``again.ready`` and ``params.ready`` depend combinationally on ``o.ready``, and the
    first of them on ``again.valid``, as does the last with ``cycles=1``.

    Parameters
    ----------
    drain_lanes : :class:`int`
        Channels in a beat, each with a multiplier of its own.
    cycles : :class:`int`
        1 takes four DSPs a lane on ECP5; 2, 3, 4 or 6 multiply digit by digit in LUTs.
    rounding : :class:`str`
        ``"tflm"``, ``"float32"`` or ``"both"``. Only lanes of one cycle can round by float32.
    twice : :class:`bool`
        Whether there is a second stream, ``again``, whose beats have parameters of their own.
    bits : :class:`int`
        With a serial multiplier: width of ``acc + bias``, if all of them fit fewer than 32.

    Members
    -------
    i : ``In(stream.Signature(sums_of(drain_lanes)))``
    params : ``In(stream.Signature(ArrayLayout(ChannelParams, drain_lanes)))``
        For the beats up to the next one with ``last``, with which they are taken.
    range : ``In(OutputRange)``
        Holds while anything is under way.
    float32 : ``In(1)``
        With ``rounding="both"``: the mode; holds likewise.
    narrow : ``In(1)``
        If there is a ``short_acc_range``: all ``acc + bias`` of ``i`` lie in it; holds likewise.
    again : ``In(stream.Signature(sums_of(drain_lanes)))``
        Beats with priority over those of ``i``. After one with ``last`` parameters may change.
    again_params, again_range : ``In(ChannelParams)``, ``In(OutputRange)``
        For all lanes of those beats; they hold while such a beat is under way.
    o : ``Out(stream.Signature({"data": bytes_of(drain_lanes), "last": 1, "again": 1}))``
        ``again``, if there are two streams, tells that the beat is of the second.
    """

    CYCLES = 1, 2, 3, 4, 6
    #: DSPs of a one-cycle lane on ECP5.
    LANE_DSPS = 4

    def __init__(self, *, drain_lanes=1, cycles=1, rounding="tflm", twice=False, bits=32):
        self.drain_lanes = integer("drain_lanes", drain_lanes, 1, 32)
        self.cycles, self.rounding = self.check("cycles", cycles, rounding)
        self._tail = self._tail_of(self.cycles, rounding)
        self.latency = self.latency_of(self.cycles, rounding)
        self.twice = boolean("twice", twice)
        self.bits = integer("bits", bits, 16, 32)
        self.short_acc_range = short_acc_range(self.cycles, self.bits)
        drain_lanes = self.drain_lanes
        output = data.StructLayout({"data": bytes_of(drain_lanes), "last": 1,
                                    **({"again": 1} if twice else {})})
        super().__init__({
            "i": In(stream.Signature(sums_of(drain_lanes))),
            "params": In(stream.Signature(data.ArrayLayout(ChannelParams, drain_lanes))),
            "range": In(OutputRange),
            "o": Out(stream.Signature(output)),
            **({"float32": In(1)} if rounding == "both" else {}),
            **({"narrow": In(1)} if self.short_acc_range else {}),
            **({"again": In(stream.Signature(sums_of(drain_lanes))),
                "again_params": In(ChannelParams),
                "again_range": In(OutputRange)} if twice else {}),
        })

    @staticmethod
    def _tail_of(cycles, rounding):
        """Cycles of a beat in the lanes, after its last step where there are several."""
        return PipelinedLane.latency_of(rounding) if cycles == 1 else SerialLane.latency

    @classmethod
    def latency_of(cls, cycles, rounding):
        """``latency`` with multipliers of as many ``cycles``, and that ``rounding``."""
        return cls._tail_of(cycles, rounding) + (cycles if cycles > 1 else 0)

    @classmethod
    def check(cls, name, cycles, rounding):
        """``cycles``, whose parameter has that ``name``, and ``rounding``; with :exc:`TypeError` or
        :exc:`ValueError` if either cannot be, or not with the other."""
        cycles = one_of(name, cycles, cls.CYCLES)
        one_of("rounding", rounding, ROUNDINGS)
        if cycles > 1 and rounding != "tflm":
            raise ValueError(f"{name} must be 1 for the rounding {rounding}, not {cycles}: the "
                             "serial multiplier drops the bits that a float32 is rounded by")
        return cycles, rounding

    def elaborate(self, platform):
        m = Module()
        # All stages advance together, or stall.
        advance = Signal()
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        lanes = [PipelinedLane(rounding=self.rounding, varies=self.twice) if self.cycles == 1
                 else SerialLane(cycles=self.cycles, bits=self.bits, varies=self.twice)
                 for _ in range(self.drain_lanes)]
        # A beat enters the lanes' last stages.
        ends = data.StructLayout({"valid": 1, "last": 1, "again": int(self.twice)})
        beats = [Signal(ends, name=f"beat_{n}") for n in range(self._tail)]
        again = Signal()  # the beat that is loaded is of the second stream
        limits = Signal(OutputRange)
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = lane
            acc, params = self.i.payload.acc[index], self.params.payload[index]
            bias = params.bias
            if self.twice:
                acc = Mux(again, self.again.payload.acc[index], acc)
                bias = Mux(again, self.again_params.bias, bias)
                params = Mux(again if self.cycles == 1 else beats[1].again, self.again_params,
                             params)
            if self.cycles > 1:
                m.d.comb += lane.bias.eq(bias)
            m.d.comb += [
                lane.enable.eq(advance),
                lane.acc.eq(acc),
                lane.params.eq(params),
                lane.range.eq(limits),
                self.o.payload.data[index].eq(lane.o),
            ]
            if hasattr(self, "float32"):
                m.d.comb += lane.float32.eq(self.float32)

        if self.cycles == 1:
            self._pipelined(m, advance, beats[0], again)
        else:
            self._serial(m, advance, beats, lanes, again)
        self._elaborate_range(m, beats, limits)
        beats.append(data.View(ends, Cat(self.o.valid, self.o.payload.last, *(
            [self.o.payload.again] if self.twice else []))))
        with m.If(advance):
            m.d.sync += [after.eq(before)
                         for before, after in zip(beats, beats[1:], strict=False)]
        return m

    def _elaborate_range(self, m, beats, limits):
        """The range for the lanes: that of the beat that has three cycles to go."""
        m.d.comb += limits.eq(self.range)
        if not self.twice:
            return
        # Fixed point is the faster of two roundings, and its result waits.
        early = self.latency_of(1, "float32") - self.latency_of(1, "tflm")
        again = beats[-3].again
        if hasattr(self, "float32"):
            again = Mux(self.float32, again, beats[-3 - early].again)
        with m.If(again):
            m.d.comb += limits.eq(self.again_range)

    def _pipelined(self, m, advance, beat, again):
        """A beat is taken with its parameters."""
        m.d.comb += [
            self.i.ready.eq(advance & self.params.valid & ~again),
            self.params.ready.eq(advance & self.i.valid & self.i.payload.last & ~again),
            beat.valid.eq((self.i.valid & self.params.valid) | again),
            beat.last.eq(self.i.payload.last),
        ]
        if self.twice:
            m.d.comb += [again.eq(self.again.valid), self.again.ready.eq(advance),
                         beat.again.eq(again)]
            with m.If(again):
                m.d.comb += beat.last.eq(self.again.payload.last)

    def _serial(self, m, advance, beats, lanes, again):
        """A beat is loaded and goes through its steps; the next one may be loaded with the last.

        The parameters of a group are in use until the cycle after the last step of its last beat.
        """
        busy, last, step, now = Signal(), Signal(), Signal(range(self.cycles)), Const(0)
        load, ends, free, changes = Signal(), Signal(), Signal(), Signal()
        narrow = self.narrow if self.short_acc_range else Const(0)
        other, ended = Const(0), self.i.payload.last
        if self.twice:
            now, other = Signal(), self.again.valid
            ended = Mux(other, self.again.payload.last, ended)
            m.d.comb += [again.eq(other), self.again.ready.eq(advance & free),
                         beats[0].again.eq(now)]
            with m.If(advance & load):
                m.d.sync += now.eq(other)
        final = busy & last & ~now  # the next beat has other parameters
        m.d.comb += [
            ends.eq(busy & (step == Mux(narrow & ~now, self.cycles - 2, self.cycles - 1))),
            free.eq(~busy | ends),
            self.i.ready.eq(advance & free & ~final & ~changes & self.params.valid & ~other),
            load.eq((self.i.valid & self.i.ready) | (other & advance & free)),
            self.params.ready.eq(advance & changes),
            beats[0].valid.eq(ends),
            beats[0].last.eq(last),
        ]
        with m.If(advance):
            m.d.sync += changes.eq(ends & final)
        with m.If(advance & busy):
            m.d.sync += step.eq(Mux(ends, 0, step + 1))
        with m.If(advance & (load | ends)):
            m.d.sync += [busy.eq(load), last.eq(ended)]
        for lane in lanes:
            m.d.comb += [lane.load.eq(load), lane.step.eq(step)]
            if self.short_acc_range:
                m.d.comb += lane.narrow.eq(narrow & ~beats[3].again if self.twice else narrow)
