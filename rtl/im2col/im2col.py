from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.im2col.line_buffer import LineBuffer
from rtl.im2col.tiles import TileWalker
from rtl.im2col.vectors import VectorWalker, read_of
from rtl.layouts import bytes_of

__all__ = ["Im2col", "patch_of"]


def patch_of(lanes):
    """Layout of one vector of a patch, with its place in the tile and in the pass."""
    return data.StructLayout({
        "data": bytes_of(lanes),
        "first": 1,   #: First vector of a tile.
        "last": 1,    #: Last vector of a tile.
        "start": 1,   #: The tile is the first of its pass.
        "done": 1,    #: The tile is the last of its pass.
        "keep": 1,    #: The vector has an output of its own: not one that only ends a filter.
        "fir": 1,     #: The lanes are channels of a depthwise FIR, not taps.
    })


class Im2col(wiring.Component):
    """A raster of pixels in, vectors of ``rows`` taps of their patches out.

    Pictures come in NHWC order, ``word_bytes`` bytes a word, each line beginning with a new word;
    each word is taken once. For each band of output lines, for each pass over each group of
    channels, for each row tile of taps in (kh, kw, cin) order, a vector for each output pixel of
    the band leaves, one a cycle unless the input is late or the output stalls. Where the pixels of
    a kernel line are contiguous a run of ``kw * cin`` bytes is cut into tiles; otherwise each of
    its pixels is. Bytes outside the picture, and past the end of a run, are the pad byte.

    The buffer holds the lines that the current band needs, and refills while it is replayed; no
    vector leaves before its bytes have come. The first vector of a line leaves ``latency`` cycles
    after the last word of the lines that it needs was taken.

    A layer runs while its configuration is offered on ``config``, which is accepted when the last
    vector has left and the last word was taken; the next one may follow at once.
    :meth:`ConvShape.config` makes the fields. The unit does not check them.

    Parameters
    ----------
    params : :class:`Im2colParams`

    Members
    -------
    config : ``In(stream.Signature(params.config))``
    i : ``In(stream.Signature(bytes_of(word_bytes)))``
    o : ``Out(stream.Signature(patch_of(lanes)))``
        Registered; ``i.ready`` and ``config.ready`` do not depend on ``o.ready`` combinationally.
    """

    def __init__(self, params):
        self.params = params
        self.latency = 4 + params.output_register
        super().__init__({
            "config": In(stream.Signature(params.config)),
            "i": In(stream.Signature(bytes_of(params.word_bytes))),
            "o": Out(stream.Signature(patch_of(params.lanes))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = LineBuffer(self.params)
        m.submodules.tiles = tiles = TileWalker(self.params)
        m.submodules.vectors = vectors = VectorWalker(self.params, present=buffer.present.shape())
        config = self.config.payload

        running, init = Signal(), Signal()
        pictures_left = Signal.like(config.pictures)
        over = Signal()  # the last picture has rolled, so its words are taken
        keep_from, picture_over = Signal.like(vectors.keep_from), Signal()
        m.d.comb += init.eq(self.config.valid & ~running)

        connect(m, tiles.o, vectors.tiles)
        m.d.comb += [
            tiles.config.eq(config), tiles.init.eq(init),
            vectors.config.eq(config), vectors.init.eq(init),
            vectors.present.eq(buffer.present), vectors.rolled.eq(buffer.rolled),
            buffer.init.eq(init | ~running | over),
            buffer.lines.eq(config.lines), buffer.line_words.eq(config.line_words),
            buffer.pictures.eq(config.pictures), buffer.keep_from.eq(keep_from),
            buffer.picture_over.eq(picture_over),
        ]
        connect(m, flipped(self.i), buffer.i)

        # Orders and what is known of them move with the memory's latency, all halting together.
        advance = Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), vectors.o.ready.eq(advance)]
        order = data.StructLayout({"valid": 1, "read": read_of(self.params)})
        orders = [Signal(order, name=f"order_{n}") for n in range(buffer.latency + 2)]
        m.d.comb += [orders[0].valid.eq(vectors.o.valid), orders[0].read.eq(vectors.o.payload)]
        with m.If(advance):
            m.d.sync += [after.eq(before)
                         for before, after in zip(orders, orders[1:], strict=False)]
        m.d.comb += [buffer.address.eq(orders[1].read.address), buffer.read_en.eq(advance)]
        # Lines are given up only when the last read of the band is under way.
        with m.If(advance & orders[1].valid & orders[1].read.release):
            m.d.sync += [keep_from.eq(vectors.keep_from), picture_over.eq(vectors.waiting)]
        with m.If(init | buffer.rolled):
            m.d.sync += [keep_from.eq(0), picture_over.eq(0)]

        ready = orders[-1]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(ready.valid)
            for name in ("first", "last", "start", "done", "keep"):
                m.d.sync += self.o.payload[name].eq(ready.read[name])
            for lane in range(self.params.lanes):
                m.d.sync += self.o.payload.data[lane].eq(
                    Mux(ready.read.inside[lane], buffer.vector[lane], config.pad))
        m.d.comb += self.o.payload.fir.eq(config.fir if self.params.fir else 0)

        busy = Cat(self.o.valid, *(order.valid for order in orders)).any()
        with m.If(buffer.rolled):
            m.d.sync += [pictures_left.eq(pictures_left - 1), over.eq(pictures_left == 0)]
        m.d.comb += self.config.ready.eq(running & over & ~busy)
        with m.If(init):
            m.d.sync += [running.eq(1), over.eq(0), pictures_left.eq(config.pictures)]
        with m.If(self.config.ready):
            m.d.sync += running.eq(0)
        return m
