# amaranth: UnusedElaboratable=no
from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.array import SystolicArray
from rtl.im2col.im2col import patch_of
from rtl.layouts import ChannelParams, OutputRange, bytes_of, sums_of
from rtl.params import MAX_PIXEL_LANES, ArrayParams
from rtl.postprocess import ROUNDINGS, Accumulators, AccumulatorTag, Requantizer
from rtl.validate import boolean, divisor, integer, of_type, one_of

__all__ = ["Gemm"]


class Gemm(wiring.Component):
    """Matrix products of any size: array, accumulators and, as a build option, a requantizer.

    A product is computed in passes: up to ``depth`` vectors by ``cols`` columns. For each pass, and
    in it for each row tile of ``rows`` taps, the tile's weights come on ``weights`` and its vectors
    on ``i``: ``first`` and ``last`` frame the tile, ``start`` marks all vectors of the first tile
    of the pass and ``done`` those of its last. ``keep`` is high, but for vectors that only flush a
    filter: those are of tiles with ``fir``, see :class:`SystolicArray`. The sums of a pass then
    leave by channel groups, ``drain_lanes`` channels at a time, and within a group vector by
    vector, while the next pass is computed. Throughput is one vector a cycle, unless weights or
    parameters are late, a drain takes longer than the pass after it, or a tile has fewer than
    ``min_tile`` vectors.

    Parameters
    ----------
    array : :class:`ArrayParams`
    depth : :class:`int`
        Maximum number of vectors of a pass.
    drain_lanes : :class:`int`
        Channels that drain at once; a divisor of the columns.
    pixel_lanes : :class:`int`
        Arrays, each with accumulators, that take a vector each at a time, 1 to 4. They share
        weights and control, and so run in lock step; their sums drain in turns.
    requantize : :class:`int`
        Cycles of an output in the requantizer; 0 leaves it out, and ``o`` carries int32 sums.
    rounding : :class:`str`
        Rounding modes of the requantizer.
    output_register : :class:`bool`
        Whether to use the output registers of block RAM.
    sum_bits : :class:`int`
        Width of an accumulator, 16 to 32.

    Members
    -------
    i : ``In(stream.Signature(patch_of(array.vector_bytes, pixel_lanes)))``
    weights : ``In(stream.Signature(bytes_of(cols)))``
        Rows of a tile, row 0 first.
    params : ``In(stream.Signature(ArrayLayout(ChannelParams, drain_lanes)))``
        With a requantizer: a beat for each channel group, in the order in which they drain.
    range : ``In(OutputRange)``
        With a requantizer: holds while anything is under way.
    float32 : ``In(1)``
        With ``rounding="both"``: the mode.
    idle : ``Out(1)``
        Nothing is under way.
    o : ``Out(stream)``
        ``data``, ``drain_lanes`` int8, or ``acc``, ``drain_lanes`` int32; ``last`` ends a channel
        group.
    """

    def __init__(self, array, *, depth=256, drain_lanes=1, pixel_lanes=1, requantize=1,
                 rounding="tflm", output_register=False, sum_bits=32):
        self.array = of_type("array", array, ArrayParams)
        self.requantize = one_of("requantize", requantize, (0, *Requantizer.CYCLES))
        one_of("rounding", rounding, ROUNDINGS)
        if requantize:
            Requantizer.check("requantize", requantize, rounding)
        self.rounding, self.output_register = rounding, bool(output_register)
        self.drain_lanes = drain_lanes = divisor("drain_lanes", drain_lanes, array.cols, "columns")
        self.pixel_lanes = pixel_lanes = integer("pixel_lanes", pixel_lanes, 1, MAX_PIXEL_LANES)
        boolean("output_register", output_register)
        last_sums = data.ArrayLayout(signed(array.sum_width(array.rows - 1)),
                                     pixel_lanes * array.cols)
        self.accumulators = Accumulators(
            cols=array.cols, depth=depth, sums=last_sums, drain_lanes=drain_lanes,
            pixel_lanes=pixel_lanes, output_register=output_register,
            width=integer("sum_bits", sum_bits, 16, 32))
        self.arrays = [SystolicArray(array, tag_shape=AccumulatorTag, lead=self.accumulators.lead)
                       for _ in range(pixel_lanes)]
        self.systolic = self.arrays[0]
        self.depth = self.accumulators.depth
        self.min_tile = self.min_tile_of(array, output_register)
        self.drain_latency = self.drain_latency_of(array, output_register)
        members = {
            "i": In(stream.Signature(patch_of(array.vector_bytes, pixel_lanes))),
            "weights": In(stream.Signature(bytes_of(array.cols))),
            "idle": Out(1),
        }
        if requantize:
            self.requantizer = Requantizer(drain_lanes=drain_lanes, cycles=requantize,
                                           rounding=rounding)
            members |= {
                "params": In(stream.Signature(data.ArrayLayout(ChannelParams, drain_lanes))),
                "range": In(OutputRange),
                "o": Out(self.requantizer.o.signature),
            }
            if rounding == "both":
                members["float32"] = In(1)
        else:
            members["o"] = Out(stream.Signature(sums_of(drain_lanes)))
        super().__init__(members)

    @staticmethod
    def min_tile_of(array, output_register):
        """``min_tile`` with that ``array``."""
        return max(SystolicArray.min_tile_of(array), Accumulators.min_tile_of(output_register))

    @staticmethod
    def beat_latency_of(array, output_register):
        """Cycles from the last vector of a pass to the first beat of its drain."""
        return (SystolicArray.latency_of(array) - Accumulators.lead_of(output_register)
                + Accumulators.latency_of(output_register))

    @classmethod
    def drain_latency_of(cls, array, output_register):
        """Those, and the cycles from the last beat to the first vector that may enter in its place.
        """
        return cls.beat_latency_of(array, output_register) + 2

    def elaborate(self, platform):
        m = Module()
        # All arrays run in lock step: the handshakes of the first one stand for all of them.
        array = self.systolic
        m.submodules.accumulators = accumulators = self.accumulators

        # A pass enters the array only when half of the accumulators is free for it; a tile only
        # when no pixel of it comes too soon after the same one of the tile before: after as many
        # cycles as there are ones in `spacing`.
        vector, go, taken = self.i.payload, Signal(), Signal()
        spacing, inside = Signal(accumulators.min_tile - 1), Signal()
        m.d.comb += [
            go.eq(~vector.first | (~spacing[0] & (~vector.start | accumulators.free))),
            self.i.ready.eq(array.i.ready & go),
            taken.eq(self.i.valid & self.i.ready),
            accumulators.claim.eq(taken & vector.first & vector.start),
            self.weights.ready.eq(array.weights.ready),
            accumulators.i.valid.eq(array.o.valid),
            accumulators.i.payload.eq(Cat(each.o.payload for each in self.arrays)),
        ]
        size = self.array.vector_bytes
        for index, each in enumerate(self.arrays):
            m.submodules[f"array_{index}"] = each
            m.d.comb += [
                each.weights.valid.eq(self.weights.valid),
                each.weights.payload.eq(self.weights.payload),
                each.i.valid.eq(self.i.valid & go),
                each.i.payload.data.eq(Cat(vector.data[index * size:(index + 1) * size])),
                each.i.payload.first.eq(vector.first),
                each.i.payload.fir.eq(vector.fir),
                *(each.i.payload.tag[name].eq(vector[name])
                  for name in ("keep", "start", "last", "done")),
            ]
        with m.If(taken):
            m.d.sync += inside.eq(~vector.last)
        with m.If(taken & vector.first):
            m.d.sync += spacing.eq(-1)
        # Cycles in which a tile waits for a vector do not count: the next tile may not wait there.
        with m.Elif(taken | ~inside):
            m.d.sync += spacing.eq(spacing >> 1)

        # A half is claimed until its last beat has left the accumulators.
        under_way = Signal(range(64))  # beats in the requantizer
        m.d.sync += under_way.eq(under_way
                                 + (accumulators.o.valid & accumulators.o.ready)
                                 - (self.o.valid & self.o.ready))
        m.d.comb += self.idle.eq(accumulators.idle & (under_way == 0))

        connect(m, array.tags, accumulators.tags)
        self._connect_output(m)
        return m

    def _connect_output(self, m):
        """Sums leave through the requantizer, if there is one."""
        if not self.requantize:
            connect(m, self.accumulators.o, flipped(self.o))
            return
        m.submodules.requantizer = requantizer = self.requantizer
        connect(m, self.accumulators.o, requantizer.i)
        connect(m, flipped(self.params), requantizer.params)
        m.d.comb += requantizer.range.eq(self.range)
        if hasattr(self, "float32"):
            m.d.comb += requantizer.float32.eq(self.float32)
        connect(m, requantizer.o, flipped(self.o))
