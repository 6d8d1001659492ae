from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.im2col.line_buffer import LineBuffer
from rtl.im2col.lines import LineGenerator
from rtl.im2col.params import Im2colParams
from rtl.im2col.tiles import TileGenerator, tile_of
from rtl.im2col.vectors import VectorGenerator, read_of
from rtl.layouts import bytes_of
from rtl.stream.pipeline import pipeline
from rtl.stream.skid_buffer import SkidBuffer
from rtl.validate import of_type

__all__ = ["Im2col", "patch_of"]


def patch_of(vector_bytes, pixel_lanes=1):
    """Layout of one vector of a patch, with its position in the tile and in the pass.

    With several pixel lanes: a vector for each of them, all at the same position.
    """
    return data.StructLayout({
        "data": bytes_of(pixel_lanes * vector_bytes),  #: The first lane's vector in the low bits.
        "first": 1,   #: First vector of a tile.
        "last": 1,    #: Last vector of a tile.
        "start": 1,   #: The tile is the first of its pass.
        "done": 1,    #: The tile is the last of its pass.
        "keep": 1,    #: The vector has an output of its own: not one that only flushes a filter.
        "fir": 1,     #: The bytes are channels of a depthwise FIR, not taps.
    })


class Im2col(wiring.Component):
    """Pixels in raster order in, vectors of ``rows`` taps of their patches out.

    Images come in NHWC order, ``word_bytes`` bytes a word, each line beginning with a new word;
    each word is taken once. For each band of output lines, for each pass over each group of
    channels, for each row tile of taps in (kh, kw, cin) order, a vector leaves for each output
    pixel of the band, one a cycle unless the input is late or the output stalls. Where the pixels
    of a kernel line are contiguous, a run of ``kw * cin`` bytes is cut into tiles; otherwise each
    pixel is. Bytes outside the image, and past the end of a run, are the pad byte.

    With several ``pixel_lanes`` the vectors of as many neighbouring lines of output leave side by
    side, and a band is that many times as high: the unit loops over every ``pixel_lanes``-th line,
    with a buffer and a comparison with the image's borders for each lane, but common control. Lines
    of the last lanes beyond the last line of output are not waited for; their contents are
    undefined.

    The buffer holds the lines that the current band needs, and refills while it is replayed; no
    vector leaves before its bytes have come. The first vector of a line leaves ``latency`` cycles
    after the last word of the lines that it needs was taken. A tile takes at least three cycles.

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
    tiles, tiles_over : ``In(stream.Signature(tile_of(params)))``, ``In(1)``
        With ``shared_agu``: the tiles of the layer, from some cycles after its configuration is
        offered; whether none is left.
    o : ``Out(stream.Signature(patch_of(vector_bytes, pixel_lanes)))``
        Registered; ``i.ready`` and ``config.ready`` do not depend on ``o.ready`` combinationally.
    """

    def __init__(self, params):
        self.params = of_type("params", params, Im2colParams)
        self.latency = self.latency_of(params)
        super().__init__({
            "config": In(stream.Signature(params.config)),
            "i": In(stream.Signature(bytes_of(params.word_bytes))),
            "o": Out(stream.Signature(patch_of(params.vector_bytes, params.pixel_lanes))),
            **({"tiles": In(stream.Signature(tile_of(params))), "tiles_over": In(1)}
               if params.shared_agu else {}),
        })

    @staticmethod
    def latency_of(params):
        """``latency`` of a unit of ``params``."""
        return 6 + params.output_register

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = LineBuffer(self.params)
        m.submodules.lines = lines = LineGenerator(self.params, present=buffer.present.shape())
        m.submodules.vectors = vectors = VectorGenerator(self.params)
        config = self.config.payload

        running, init = Signal(), Signal()
        over = Signal()  # the last image is over, so its words are taken
        m.d.sync += init.eq(self.config.valid & ~running)
        with m.If(self.config.valid):
            m.d.sync += running.eq(1)

        self._connect_tiles(m, lines, init)
        connect(m, lines.o, vectors.lines)
        keep_from, picture_over = Signal.like(lines.keep_from), Signal()
        m.d.comb += [
            lines.config.eq(config), vectors.config.eq(config),
            lines.present.eq(buffer.present), lines.rolled.eq(buffer.rolled),
            buffer.init.eq(init | ~running | over),
            buffer.lines.eq(config.lines), buffer.line_words.eq(config.line_words),
            buffer.pictures.eq(config.pictures), buffer.keep_from.eq(keep_from),
            buffer.picture_over.eq(picture_over),
        ]
        connect(m, flipped(self.i), buffer.i)

        # Reads travel with the memory's latency; all stages stall together.
        advance = Signal()
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        order = data.StructLayout({"valid": 1, "read": read_of(self.params)})
        orders = [Signal(order, name=f"order_{n}") for n in range(buffer.latency + 2)]
        coming = self._elaborate_reads(m, vectors, lines)
        m.d.comb += [coming.ready.eq(advance), orders[0].valid.eq(coming.valid),
                     orders[0].read.eq(coming.payload.read)]
        with m.If(advance):
            m.d.sync += [after.eq(before)
                         for before, after in zip(orders, orders[1:], strict=False)]
        m.d.comb += [buffer.addresses.eq(orders[1].read.addresses), buffer.read_en.eq(advance)]
        # Lines are freed only when the last read of the band is under way.
        release = pipeline(m, advance, coming.payload.release, "release")
        with m.If(advance & orders[1].valid & orders[1].read.release):
            m.d.sync += Cat(keep_from, picture_over).eq(release)
        with m.If(init | buffer.rolled):
            m.d.sync += keep_from.eq(0)

        self._elaborate_output(m, buffer, orders, advance)

        busy = Cat(self.o.valid, *(order.valid for order in orders)).any()
        with m.If(buffer.rolled & buffer.last_picture):
            m.d.sync += over.eq(1)
        m.d.comb += self.config.ready.eq(running & over & ~busy)
        with m.If(self.config.ready):
            m.d.sync += [running.eq(0), over.eq(0)]
        return m

    def _connect_tiles(self, m, lines, init):
        """Tiles of a generator here, or of a shared one elsewhere."""
        if self.params.shared_agu:
            connect(m, flipped(self.tiles), lines.tiles)
            m.d.comb += lines.over.eq(self.tiles_over)
        else:
            m.submodules.tiles = tiles = TileGenerator(self.params)
            connect(m, tiles.o, lines.tiles)
            m.d.comb += [tiles.config.eq(self.config.payload), tiles.init.eq(init),
                         lines.over.eq(tiles.over)]

    def _elaborate_output(self, m, buffer, orders, advance):
        """A vector leaves with the read that it was ordered by."""
        config, ready = self.config.payload, orders[-1]
        inside = self._inside(m, orders[1].read, advance, buffer.latency)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(ready.valid)
            for name in ("first", "last", "start", "done", "keep"):
                m.d.sync += self.o.payload[name].eq(ready.read[name])
            for byte, out in enumerate(self.o.payload.data):
                m.d.sync += out.eq(Mux(inside[byte], buffer.vector[byte], config.pad))
        m.d.comb += self.o.payload.fir.eq(config.fir if self.params.fir else 0)

    def _elaborate_reads(self, m, vectors, lines):
        """The stream of vectors to read, and of the lines that can be freed behind each. Where
        memories have their output registers it passes a skid buffer, so that the generators do not
        depend combinationally on the output."""
        order = stream.Signature(data.StructLayout({
            "read": read_of(self.params), "release": len(lines.keep_from) + 1})).create()
        m.d.comb += [
            order.valid.eq(vectors.o.valid),
            order.payload.read.eq(vectors.o.payload),
            order.payload.release.eq(Cat(lines.keep_from, lines.picture_over)),
            vectors.o.ready.eq(order.ready),
        ]
        if not self.params.output_register:
            return order
        m.submodules.orders = spare = SkidBuffer(order.payload.shape())
        connect(m, order, spare.i)
        return spare.o

    def _inside(self, m, read, advance, cycles):
        """Which bytes lie in the image and in the run, ``cycles`` enabled cycles after ``read``."""
        bits = self.params.lane_bits
        rest, far = read.rest[:bits], read.rest[bits:-1].any()
        inside = Cat(begun[lane] & (read.rest >= 0) & (far | (rest > lane))
                     for begun in read.begun for lane in range(self.params.vector_bytes))
        return pipeline(m, advance, inside, "inside", cycles)
