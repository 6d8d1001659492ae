# amaranth: UnusedElaboratable=no
from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.cycle_counter import CycleCounter
from rtl.gemm import Gemm
from rtl.im2col import Im2col, Im2colParams
from rtl.layouts import OutputRange, bytes_of
from rtl.validate import boolean

__all__ = ["Conv2d"]


class Conv2d(wiring.Component):
    """One convolution layer per run: pixels in, requantised pixels out.

    :class:`Im2col` feeds :class:`Gemm`. The layer runs while it is offered on ``config``, which is
    accepted when its last output has left. Weights and parameters come in the order in which they
    are used: for each band, for each pass, the rows of each row tile; and a beat of parameters for
    each channel group. Outputs leave in the order band, pass, channel group, pixel of the band,
    pixel lane. Lines of an image are interleaved among the lanes; outputs of the last lanes beyond
    the last line leave too, and are meaningless.

    Parameters
    ----------
    array : :class:`ArrayParams`
        With ``fir_rows``, depthwise layers run as FIR filters, ``cols`` channels at a time.
    depth, drain_lanes, pixel_lanes, requantize, rounding, output_register
        As of :class:`Gemm`.
    counter : :class:`bool`
        Whether there is a cycle counter.
    buffer_bytes, word_bytes, max_lines, max_images
        As of :class:`Im2colParams`.

    Members
    -------
    config : ``In(stream)``
        Fields ``layer`` (``im2col.config``) and ``range`` (:class:`OutputRange`).
    i : ``In(stream.Signature(bytes_of(word_bytes)))``
        Pixels in raster order, each line beginning with a new word; each word is taken once.
    weights, params, o, float32
        As of :class:`Gemm`.
    cycles : ``Out(32)``
        With ``counter``: cycles from the layer's first input to its last output so far.
    """

    def __init__(self, array, *, depth=256, drain_lanes=1, pixel_lanes=1, requantize=1,
                 rounding="tflm", output_register=False, counter=True, buffer_bytes=16384,
                 word_bytes=0, max_lines=1024, max_images=256):
        self.gemm = Gemm(array, depth=depth, drain_lanes=drain_lanes, pixel_lanes=pixel_lanes,
                         requantize=requantize, rounding=rounding, output_register=output_register)
        self.im2col_params = Im2colParams(
            rows=array.rows, vector_bytes=array.vector_bytes, word_bytes=word_bytes,
            buffer_bytes=buffer_bytes, max_lines=max_lines, max_images=max_images,
            pixel_lanes=pixel_lanes, fir=array.fir_rows > 0, output_register=output_register)
        self.array, self.counter = array, boolean("counter", counter)
        for name in ("depth", "drain_lanes", "pixel_lanes", "requantize", "min_tile",
                     "drain_latency"):
            setattr(self, name, getattr(self.gemm, name))
        gemm = self.gemm.signature.members
        config = {"layer": self.im2col_params.config}
        if requantize:
            config["range"] = OutputRange
        members = {
            "config": In(stream.Signature(data.StructLayout(config))),
            "i": In(stream.Signature(bytes_of(self.im2col_params.word_bytes))),
            **{name: gemm[name] for name in ("weights", "params", "float32", "o") if name in gemm},
        }
        if counter:
            members["cycles"] = Out(32)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.im2col = im2col = Im2col(self.im2col_params)
        m.submodules.gemm = gemm = self.gemm

        emitted = Signal()  # every vector of the layer has entered the array
        m.d.comb += [
            im2col.config.valid.eq(self.config.valid & ~emitted),
            im2col.config.payload.eq(self.config.payload.layer),
            self.config.ready.eq(emitted & gemm.idle),
        ]
        with m.If(im2col.config.ready):
            m.d.sync += emitted.eq(1)
        with m.If(self.config.ready):
            m.d.sync += emitted.eq(0)

        connect(m, flipped(self.i), im2col.i)
        connect(m, im2col.o, gemm.i)
        connect(m, flipped(self.weights), gemm.weights)
        connect(m, gemm.o, flipped(self.o))
        if hasattr(self, "params"):
            connect(m, flipped(self.params), gemm.params)
            m.d.comb += gemm.range.eq(self.config.payload.range)
        if hasattr(self, "float32"):
            m.d.comb += gemm.float32.eq(self.float32)

        if self.counter:
            m.submodules.cycles = counter = CycleCounter()
            m.d.comb += [
                counter.restart.eq(self.config.valid & self.config.ready),
                counter.first.eq(self.i.valid & self.i.ready),
                counter.last.eq(self.o.valid & self.o.ready),
                self.cycles.eq(counter.cycles),
            ]
        return m
