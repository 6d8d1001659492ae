from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.im2col.params import Im2colParams
from rtl.im2col.tiles import tile_of
from rtl.validate import of_type, shape

__all__ = ["LineGenerator", "line_of"]


def line_of(params):
    """Layout of one line of output of a tile."""
    tile = tile_of(params)
    return data.StructLayout({
        "position": params.position,    #: Byte of the line of input at which it begins.
        # For each pixel lane: the line's address in the buffer; whether it lies in the image, not
        # in its padding nor beyond the last line of output.
        "bases": data.ArrayLayout(tile["base"].shape, params.pixel_lanes),
        "in_picture": data.ArrayLayout(1, params.pixel_lanes),
        "first": 1,                     #: Of the tile.
        "last": 1,                      #: Of the tile.
        "short": 1,                     #: These are of the tile.
        "start": 1,
        "done": 1,
        "band_end": 1,
    })


class LineGenerator(wiring.Component):
    """Loops over the lines of output of one tile after the other.

    A line, or one for each pixel lane, is offered once the lines of input that it needs have come;
    the last one of a tile only when the next tile is known as well. ``o.valid`` is a register.

    Parameters
    ----------
    params : :class:`Im2colParams`
    present : shape-like
        Shape of the number of lines in the buffer.

    Members
    -------
    config : ``In(params.config)``
    tiles : ``In(stream.Signature(tile_of(params)))``
    over : ``In(1)``
        No tile is left.
    present : ``In``
        Lines of the image that have come.
    rolled : ``In(1)``
        ``present`` counts lines of the next image from now on.
    keep_from, picture_over : ``Out``
        While the last line of a band is read: the first line that is needed after it; whether none
        is.
    o : ``Out(stream.Signature(line_of(params)))``
    """

    def __init__(self, params, *, present):
        self.params = of_type("params", params, Im2colParams)
        shape("present", present)
        super().__init__({
            "config": In(params.config),
            "tiles": In(stream.Signature(tile_of(params))),
            "over": In(1),
            "present": In(present),
            "rolled": In(1),
            "keep_from": Out(params.config["lines"].shape),
            "picture_over": Out(1),
            "o": Out(stream.Signature(line_of(params))),
        })

    def elaborate(self, platform):
        m = Module()
        config, coming, now = self.config, self.tiles.payload, self.o.payload
        starts = self._lane_starts(m)
        lines = [Signal.like(coming.line, name=f"line_{lane}") for lane in range(len(starts))]
        rows_left = Signal.like(coming.rows)
        active = Signal()
        held = Signal()    # the line is of an image that has not begun yet
        moves, ends = Signal(), Signal()
        m.d.comb += [
            now.last.eq(rows_left == 0),
            moves.eq(self.o.valid & self.o.ready),
            ends.eq(~active | now.last),
            self.tiles.ready.eq(~active | (moves & now.last)),
        ]
        with m.If(moves | ~active):
            m.d.sync += now.first.eq(ends)
            with m.If(ends):
                m.d.sync += [
                    active.eq(self.tiles.valid),
                    held.eq(self.tiles.valid & coming.new_picture),
                    *(line.eq(first) for line, (first, _) in zip(lines, starts, strict=True)),
                    *(base.eq(first) for base, (_, first) in zip(now.bases, starts, strict=True)),
                    rows_left.eq(coming.rows),
                    *(now[name].eq(coming[name])
                      for name in ("position", "short", "start", "done", "band_end")),
                ]
            with m.Else():
                m.d.sync += [
                    *(line.eq(line + config.y_step) for line in lines),
                    *(base.eq(base + config.y_step_words) for base in now.bases),
                    rows_left.eq(rows_left - 1),
                ]
        with m.If(self.rolled):
            m.d.sync += held.eq(0)

        self._elaborate_valid(m, starts, lines, rows_left, active, moves, ends, held)

        # This unit is at the first line of the next band before the last vector of one is read.
        m.d.comb += self.picture_over.eq(held | ~active)
        with m.If(self.picture_over | (lines[0] > config.lines)):
            m.d.comb += self.keep_from.eq(config.lines)
        with m.Elif(lines[0] >= 0):
            m.d.comb += self.keep_from.eq(lines[0])
        return m

    def _elaborate_valid(self, m, starts, lines, rows_left, active, moves, ends, held):
        """Offer a line once its lines of input have come. That is a register, and so decided a
        cycle ahead: for the lines of now, of the next step, and of the coming tile."""
        config, coming, now = self.config, self.tiles.payload, self.o.payload

        def look_up(numbers):
            inside = Cat((number >= 0) & (number < config.lines) for number in numbers)
            return inside, (~inside | Cat(number < self.present for number in numbers)).all()

        known = self.tiles.valid | self.over
        (inside, come), (inside_after, come_after), (inside_coming, come_coming) = (
            look_up(numbers) for numbers in (
                lines, [(line + config.y_step)[:len(line)].as_signed() for line in lines],
                [first for first, _ in starts]))
        with m.If(moves | ~active):
            m.d.sync += [
                now.in_picture.eq(Mux(ends, inside_coming, inside_after)),
                self.o.valid.eq(Mux(
                    ends, come_coming & self.tiles.valid & ~coming.new_picture & (coming.rows != 0),
                    come_after & (known | (rows_left != 1)))),
            ]
        with m.Else():
            m.d.sync += [
                now.in_picture.eq(inside),
                self.o.valid.eq(come & ~held & (known | ~now.last)),
            ]

    def _lane_starts(self, m):
        """The first line of the coming tile, and its address, for each pixel lane."""
        config, coming = self.config, self.tiles.payload
        starts = [(coming.line, coming.base)]
        for lane in range(1, self.params.pixel_lanes):
            # The configuration is stable for some cycles before its first tile comes.
            lines = Signal.like(config.lane_step, name=f"lane_lines_{lane}")
            words = Signal.like(config.lane_step_words, name=f"lane_words_{lane}")
            m.d.sync += [lines.eq(lane * config.lane_step), words.eq(lane * config.lane_step_words)]
            starts.append(((coming.line + lines)[:len(coming.line)].as_signed(),
                           (coming.base + words)[:len(coming.base)]))
        return starts
