from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.im2col.params import Im2colParams
from rtl.validate import of_type

__all__ = ["TileGenerator", "tile_of"]


def tile_of(params):
    """Layout of one row tile of a pass over a band."""
    config = params.config
    return data.StructLayout({
        "position": params.position,        #: Byte in the line at which the first patch begins.
        "line": params.line,                #: Line of its first tap.
        "base": range(params.words),        #: Address of that line in the buffer.
        "rows": config["band"].shape,       #: Output lines of the band, less one.
        "short": 1,                         #: Only ``tail`` taps: the end of a run.
        "start": 1,                         #: First tile of a pass.
        "done": 1,                          #: Last tile of a pass.
        "band_end": 1,                      #: Last tile of the last pass of a band.
        "new_picture": 1,                   #: First tile of an image that is not the first.
    })


class TileGenerator(wiring.Component):
    """The loop nest over images, bands, groups, passes, kernel lines, runs and chunks.

    Throughput is a tile every third cycle: a step to the next tile, and a cycle to decide which
    loops are at their end. Nothing depends combinationally on ``o.ready``.

    Parameters
    ----------
    params : :class:`Im2colParams`
        Without ``shared_agu``.

    Members
    -------
    config : ``In(params.config)``
        Fields of the layer; they hold from ``init`` until the last tile is taken.
    init : ``In(1)``
        Begin with the first tile, which is offered three cycles later.
    over : ``Out(1)``
        The last tile of the layer was taken.
    o : ``Out(stream.Signature(tile_of(params)))``
    """

    def __init__(self, params):
        self.params = of_type("params", params, Im2colParams)
        if params.shared_agu:
            raise ValueError("params must be without shared_agu, whose configuration has no tiles, "
                             f"not {params!r}")
        super().__init__({
            "config": In(params.config),
            "init": In(1),
            "over": Out(1),
            "o": Out(stream.Signature(tile_of(params))),
        })

    def elaborate(self, platform):
        m = Module()
        config, tile = self.config, self.o.payload
        # At the start of a layer all loops are at their end.
        step, settle, begins = Signal(), Signal(), Signal()
        ends = self._elaborate_counters(m, step)
        short, runs_end, pass_end, tiles_end, band_end = ends.values()

        rows_left = Signal.like(config.y_count)   # output lines from this band on, less one
        last_band, last_picture = Signal(), Signal()
        pictures_left = Signal.like(config.pictures)
        next_picture, finished = Signal(), Signal()
        m.d.comb += [
            next_picture.eq(band_end & last_band),
            finished.eq(next_picture & last_picture & ~begins),
            tile.rows.eq(Mux(last_band, rows_left, config.band)),
            tile.short.eq(short),
            tile.done.eq(pass_end),
            tile.band_end.eq(band_end),
        ]
        m.d.sync += [
            step.eq(self.init | (self.o.valid & self.o.ready)),
            settle.eq(step & ~finished),
            self.o.valid.eq(settle | (self.o.valid & ~self.o.ready)),
            last_band.eq((rows_left <= config.band) | self.init),
            last_picture.eq(pictures_left == 0),
        ]
        with m.If(step):
            m.d.sync += [
                begins.eq(0),
                self.over.eq(finished),
                tile.start.eq(pass_end),
                tile.new_picture.eq(next_picture & ~begins),
            ]
            with m.If(band_end):
                m.d.sync += rows_left.eq(Mux(last_band, config.y_count, rows_left + ~config.band))
            with m.If(next_picture & ~begins):
                m.d.sync += pictures_left.eq(pictures_left - 1)
        with m.If(self.init):
            m.d.sync += [begins.eq(1), self.over.eq(0), pictures_left.eq(config.pictures)]

        self._step_position(m, step, short, runs_end, tiles_end, band_end)
        self._step_line(m, step & runs_end, pass_end, band_end, next_picture)
        return m

    def _elaborate_counters(self, m, step):
        """Remaining iterations, innermost first. Returns a register for each loop: it and all loops
        within it are at their end."""
        ends, over, inner = {}, Const(1), Const(1)
        for name in ("chunks", "kw_count", "kh_count", "tiles", "groups"):
            left = Signal.like(self.config[name], name=f"{name}_left")
            end = ends[name] = Signal(name=f"{name}_end")
            with m.If(step & inner):
                m.d.sync += left.eq(Mux(end, self.config[name], left - 1))
            over = over & (left == 0)
            m.d.sync += end.eq(over | self.init)
            inner = end
        return ends

    def _step_position(self, m, step, short, runs_end, tiles_end, band_end):
        """Step to the next chunk, run or group, or back to where this one or the first began."""
        config, position = self.config, self.o.payload.position
        run, group = Signal.like(position, name="run"), Signal.like(position, name="group")
        chunk_step = self.params.rows
        if self.params.fir:
            chunk_step = Mux(config.fir, config.chunk_step, self.params.rows)
        origin, distance = Signal.like(position), Signal.like(config.group_step)
        after = Signal.like(position)
        with m.If(~short):
            m.d.comb += [origin.eq(position), distance.eq(chunk_step)]
        with m.Elif(~runs_end):
            m.d.comb += [origin.eq(run), distance.eq(config.kw_step)]
        with m.Else():
            m.d.comb += [
                origin.eq(Mux(band_end, config.x_origin, group)),
                distance.eq(Mux(tiles_end & ~band_end, config.group_step, 0)),
            ]
        m.d.comb += after.eq(origin + distance)
        with m.If(step):
            m.d.sync += position.eq(after)
            with m.If(short):
                m.d.sync += run.eq(after)
            with m.If(tiles_end):
                m.d.sync += group.eq(after)

    def _step_line(self, m, step, pass_end, band_end, next_picture):
        """Step to the next kernel line, band or image, or back to the first line of the band."""
        config, line, base = self.config, self.o.payload.line, self.o.payload.base
        band_line, band_base = Signal.like(line), Signal.like(base)
        picture_base = Signal.like(base)
        with m.If(self.init):
            m.d.sync += picture_base.eq(config.y_origin_words)
        with m.If(step & next_picture):
            m.d.sync += picture_base.eq(picture_base + config.picture_words)

        def step_register(register, first, picture, by, by_band):
            origin, distance = Signal.like(register), Signal.like(by)
            after = Signal.like(register)
            with m.If(~pass_end):
                m.d.comb += [origin.eq(register), distance.eq(by)]
            with m.Elif(next_picture):
                m.d.comb += origin.eq(picture)
            with m.Else():
                m.d.comb += [origin.eq(first), distance.eq(Mux(band_end, by_band, 0))]
            m.d.comb += after.eq(origin + distance)
            with m.If(step):
                m.d.sync += register.eq(after)
                with m.If(band_end):
                    m.d.sync += first.eq(after)

        step_register(line, band_line, config.y_origin, config.kh_step, config.band_step)
        step_register(base, band_base, picture_base, config.kh_step_words, config.band_step_words)
