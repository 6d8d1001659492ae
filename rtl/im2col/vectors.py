from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.im2col.lines import line_of
from rtl.im2col.params import Im2colParams
from rtl.validate import of_type

__all__ = ["VectorGenerator", "read_of"]


def read_of(params):
    """Layout of the request to read one vector."""
    return data.StructLayout({
        # For each pixel lane: address of the first byte in the buffer; the bytes that are taps, and
        # not before the line.
        "addresses": data.ArrayLayout(range(params.buffer_bytes), params.pixel_lanes),
        "begun": data.ArrayLayout(data.ArrayLayout(1, params.vector_bytes), params.pixel_lanes),
        "rest": signed(params.position.width + 1),      #: Bytes from the first to the line's end.
        "first": 1,                                     #: Of the tile.
        "last": 1,                                      #: Of the tile.
        "start": 1,                                     #: The tile is the first of its pass.
        "done": 1,                                      #: The tile is the last of its pass.
        "keep": 1,                                      #: Not one that only flushes a filter.
        "release": 1,                                   #: Last vector of a band.
    })


class VectorGenerator(wiring.Component):
    """Loops over the output pixels of one line after the other. Throughput is one vector a cycle,
    without bubbles between lines or tiles.

    Within a line ``o.valid`` is never withdrawn and never pauses, as a FIR requires.

    Parameters
    ----------
    params : :class:`Im2colParams`

    Members
    -------
    config : ``In(params.config)``
    lines : ``In(stream.Signature(line_of(params)))``
    o : ``Out(stream.Signature(read_of(params)))``
    """

    def __init__(self, params):
        self.params = of_type("params", params, Im2colParams)
        super().__init__({
            "config": In(params.config),
            "lines": In(stream.Signature(line_of(params))),
            "o": Out(stream.Signature(read_of(params))),
        })

    def elaborate(self, platform):
        m = Module()
        config, coming, read = self.config, self.lines.payload, self.o.payload
        line = Signal.like(coming, reset_less=True)
        fixed = "bases", "in_picture", "last", "short", "start", "done", "band_end"
        position, x_left = Signal.like(coming.position), Signal.like(config.x_count)
        first, line_end, tile_end, ends = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            ends.eq(~self.o.valid | line_end),
            self.lines.ready.eq(~self.o.valid | (self.o.ready & line_end)),
            tile_end.eq(line_end & line.last),
        ]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                position.eq(Mux(ends, coming.position, position + config.x_step)),
                x_left.eq(Mux(ends, config.x_count, x_left - 1)),
                line_end.eq(Mux(ends, config.x_count == 0, x_left == 1)),
                first.eq(ends & coming.first),
            ]
            with m.If(ends):
                m.d.sync += [
                    self.o.valid.eq(self.lines.valid),
                    *(line[name].eq(coming[name]) for name in fixed),
                ]

        m.d.comb += [
            *(address.eq((base << self._word_bits) + position)
              for address, base in zip(read.addresses, line.bases, strict=True)),
            read.rest.eq(config.line_bytes - position),
            read.first.eq(first),
            read.last.eq(tile_end),
            read.start.eq(line.start),
            read.done.eq(line.done),
            read.keep.eq(x_left >= config.trail if self.params.fir else 1),
            read.release.eq(tile_end & line.band_end),
        ]
        # Byte `lane` is not before the line if position >= -lane.
        bits = self.params.lane_bits
        near = position[bits:].all()
        for lane in range(self.params.vector_bytes):
            m.d.comb += [begun[lane].eq(
                in_picture & (~line.short | (lane < config.tail))
                & ((position >= 0) | (near & (position[:bits] >= (1 << bits) - lane))))
                for begun, in_picture in zip(read.begun, line.in_picture, strict=True)]
        return m

    @property
    def _word_bits(self):
        return (self.params.word_bytes - 1).bit_length()
