from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.im2col.tiles import tile_of

__all__ = ["VectorWalker", "read_of"]


def read_of(params):
    """Layout of the order to read one vector."""
    return data.StructLayout({
        "address": range(params.buffer_bytes),          #: Of the first byte, in the buffer.
        "inside": data.ArrayLayout(1, params.lanes),    #: Byte is of the picture and of the run.
        "first": 1,                                     #: Of the tile.
        "last": 1,                                      #: Of the tile.
        "start": 1,                                     #: The tile is the first of its pass.
        "done": 1,                                      #: The tile is the last of its pass.
        "keep": 1,                                      #: Not one that only ends a filter.
        "release": 1,                                   #: Last vector of a band.
    })


class VectorWalker(wiring.Component):
    """Loops over the output pixels of one tile after the other: one vector a cycle, no bubble
    between lines nor tiles.

    A line of output waits for the last line of input that it needs. Within a line ``o.valid`` is
    never withdrawn and never pauses, as a FIR asks for.

    Members
    -------
    config : ``In(params.config)``
    init : ``In(1)``
        The layer begins.
    tiles : ``In(stream.Signature(tile_of(params)))``
    present : ``In``
        Lines of the picture that have come.
    rolled : ``In(1)``
        ``present`` counts lines of the next picture from now on.
    keep_from : ``Out``
        First line of the picture that is needed after the last vector with ``release``.
    waiting : ``Out(1)``
        That vector was the last of the picture: nothing more until ``rolled``.
    o : ``Out(stream.Signature(read_of(params)))``
    """

    def __init__(self, params, *, present):
        self.params = params
        super().__init__({
            "config": In(params.config),
            "init": In(1),
            "tiles": In(stream.Signature(tile_of(params))),
            "present": In(present),
            "rolled": In(1),
            "keep_from": Out(params.config["lines"].shape),
            "waiting": Out(1),
            "o": Out(stream.Signature(read_of(params))),
        })

    def elaborate(self, platform):
        m = Module()
        config, coming, read = self.config, self.tiles.payload, self.o.payload

        tile = Signal(tile_of(self.params), reset_less=True)
        position, line, base = (Signal.like(tile.position), Signal.like(tile.line),
                                Signal.like(tile.base))
        x_left, rows_left = Signal.like(config.x_count), Signal.like(tile.rows)
        first = Signal()
        active = Signal()

        in_picture = Signal()
        line_end, tile_end = Signal(), Signal()
        step = Signal()
        m.d.comb += [
            in_picture.eq((line >= 0) & (line < config.lines)),
            self.o.valid.eq(active & ~self.waiting & (~in_picture | (line < self.present))),
            line_end.eq(x_left == 0),
            tile_end.eq(line_end & (rows_left == 0)),
            step.eq(self.o.valid & self.o.ready),
            self.tiles.ready.eq(~active | (step & tile_end)),
        ]

        with m.If(step):
            m.d.sync += first.eq(0)
            with m.If(~line_end):
                m.d.sync += [x_left.eq(x_left - 1), position.eq(position + config.x_step)]
            with m.Else():
                m.d.sync += [
                    x_left.eq(config.x_count),
                    rows_left.eq(rows_left - 1),
                    position.eq(tile.position),
                    line.eq(line + config.y_step),
                    base.eq(base + config.y_step_words),
                ]
        with m.If(self.tiles.ready):
            m.d.sync += [
                active.eq(self.tiles.valid),
                tile.eq(coming),
                position.eq(coming.position),
                line.eq(coming.line),
                base.eq(coming.base),
                x_left.eq(config.x_count),
                rows_left.eq(coming.rows),
                first.eq(1),
            ]

        # What the next band needs is known by its first tile, which is the one that is coming.
        picture_end = Signal()
        m.d.comb += picture_end.eq(~self.tiles.valid | coming.new_picture)
        with m.If(step & read.release):
            m.d.sync += self.waiting.eq(picture_end)
            with m.If(picture_end | (coming.line > config.lines)):
                m.d.sync += self.keep_from.eq(config.lines)
            with m.Else():
                m.d.sync += self.keep_from.eq(Mux(coming.line < 0, 0, coming.line))
        with m.If(self.rolled | self.init):
            m.d.sync += self.waiting.eq(0)

        m.d.comb += [
            read.address.eq((base << self._word_bits) + position),
            read.first.eq(first),
            read.last.eq(tile_end),
            read.start.eq(tile.start),
            read.done.eq(tile.done),
            read.keep.eq(x_left >= config.trail if self.params.fir else 1),
            read.release.eq(tile_end & tile.band_end),
        ]
        # Byte `lane` is of the line if 0 <= position + lane < line_bytes.
        rest = Signal(signed(self.params.position.width + 1))
        m.d.comb += rest.eq(config.line_bytes - position)
        for lane in range(self.params.lanes):
            m.d.comb += read.inside[lane].eq(
                in_picture & (position >= -lane) & (rest > lane)
                & (~tile.short | (lane < config.tail)))
        return m

    @property
    def _word_bits(self):
        return (self.params.word_bytes - 1).bit_length()
