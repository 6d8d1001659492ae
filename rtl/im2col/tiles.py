from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["TileWalker", "tile_of"]


def tile_of(params):
    """Layout of one row tile of a pass over a band."""
    config = params.config
    return data.StructLayout({
        "position": params.position,        #: Byte in the line at which the first patch begins.
        "line": params.line,                #: Line of its first tap.
        "base": config["picture_words"].shape,  #: Address of that line in the buffer.
        "rows": config["band"].shape,       #: Output lines of the band, less one.
        "short": 1,                         #: Only ``tail`` taps: the end of a run.
        "start": 1,                         #: First tile of a pass.
        "done": 1,                          #: Last tile of a pass.
        "band_end": 1,                      #: Last tile of the last pass of a band.
        "new_picture": 1,                   #: First band of a picture that is not the first.
    })


class TileWalker(wiring.Component):
    """Loops over pictures, bands, groups, passes, kernel lines, runs and chunks; a tile a cycle.

    The walker's registers are the tile it offers; nothing depends combinationally on ``o.ready``.

    Members
    -------
    config : ``In(params.config)``
        Fields of the layer; they hold from ``init`` until the last tile is taken.
    init : ``In(1)``
        Begin with the first tile, offered from the next cycle on.
    o : ``Out(stream.Signature(tile_of(params)))``
    """

    def __init__(self, params):
        self.params = params
        super().__init__({
            "config": In(params.config),
            "init": In(1),
            "o": Out(stream.Signature(tile_of(params))),
        })

    def elaborate(self, platform):
        m = Module()
        config, tile = self.config, self.o.payload
        picture_base = Signal.like(config.picture_words)
        band_line, band_base = Signal(self.params.line), Signal.like(tile.base)
        rows_left = Signal.like(config.y_count)         # output lines from this band on, less one
        group_position = Signal(self.params.position)
        run_position = Signal(self.params.position)

        # Counts to go, innermost first; `over`: a loop and all within it are at their end.
        loops = {}
        over, first = Const(1), Const(1)
        for name in ("chunks", "kw_count", "kh_count", "tiles", "groups"):
            left = Signal.like(config[name], name=f"{name}_left")
            ends = Signal(name=f"{name}_over")
            m.d.comb += ends.eq(over & (left == 0))
            loops[name] = (left, ends)
            over = ends
            if name in ("chunks", "kw_count", "kh_count"):
                first = first & (left == config[name])
        last_band = Signal()
        pictures_left = Signal.like(config.pictures)
        m.d.comb += [
            last_band.eq(rows_left <= config.band),
            tile.rows.eq(Mux(last_band, rows_left, config.band)),
            tile.short.eq(loops["chunks"][1]),
            tile.start.eq(first),
            tile.done.eq(loops["kh_count"][1]),
            tile.band_end.eq(loops["groups"][1]),
        ]

        line, base, position = tile.line, tile.base, tile.position
        chunk_step = self.params.rows
        if self.params.fir:
            chunk_step = Mux(config.fir, config.chunk_step, self.params.rows)

        def restart(*names):
            return [loops[name][0].eq(config[name]) for name in names]

        with m.If(self.o.valid & self.o.ready):
            with m.If(~loops["chunks"][1]):
                m.d.sync += [loops["chunks"][0].eq(loops["chunks"][0] - 1),
                             position.eq(position + chunk_step)]
            with m.Else():
                m.d.sync += restart("chunks")
                with m.If(~loops["kw_count"][1]):
                    after = run_position + config.kw_step
                    m.d.sync += [loops["kw_count"][0].eq(loops["kw_count"][0] - 1),
                                 run_position.eq(after), position.eq(after)]
                with m.Else():
                    m.d.sync += [*restart("kw_count"),
                                 run_position.eq(group_position), position.eq(group_position)]
                    with m.If(~loops["kh_count"][1]):
                        m.d.sync += [loops["kh_count"][0].eq(loops["kh_count"][0] - 1),
                                     line.eq(line + config.kh_step),
                                     base.eq(base + config.kh_step_words)]
                    with m.Else():
                        m.d.sync += [*restart("kh_count"), line.eq(band_line), base.eq(band_base)]
                        with m.If(~loops["tiles"][1]):
                            m.d.sync += loops["tiles"][0].eq(loops["tiles"][0] - 1)
                        with m.Else():
                            m.d.sync += restart("tiles")
                            after = Mux(loops["groups"][1], config.x_origin,
                                        group_position + config.group_step)
                            m.d.sync += [group_position.eq(after), run_position.eq(after),
                                         position.eq(after)]
                            with m.If(~loops["groups"][1]):
                                m.d.sync += loops["groups"][0].eq(loops["groups"][0] - 1)
                            with m.Else():
                                m.d.sync += restart("groups")
                                self._next_band(m, picture_base, band_line, band_base, rows_left,
                                                pictures_left, last_band)
        with m.If(self.init):
            m.d.sync += [
                self.o.valid.eq(1),
                *restart(*loops),
                position.eq(config.x_origin),
                run_position.eq(config.x_origin),
                group_position.eq(config.x_origin),
                picture_base.eq(0),
                pictures_left.eq(config.pictures),
                tile.new_picture.eq(0),
                *self._first_band(band_line, band_base, rows_left, 0),
            ]
        return m

    def _first_band(self, band_line, band_base, rows_left, picture_base):
        base = picture_base + self.config.y_origin_words
        return [
            band_line.eq(self.config.y_origin), self.o.payload.line.eq(self.config.y_origin),
            band_base.eq(base), self.o.payload.base.eq(base),
            rows_left.eq(self.config.y_count),
        ]

    def _next_band(self, m, picture_base, band_line, band_base, rows_left, pictures_left,
                   last_band):
        config, tile = self.config, self.o.payload
        with m.If(~last_band):
            line, base = band_line + config.band_step, band_base + config.band_step_words
            m.d.sync += [
                band_line.eq(line), tile.line.eq(line),
                band_base.eq(base), tile.base.eq(base),
                rows_left.eq(rows_left - config.band - 1),
                tile.new_picture.eq(0),
            ]
        with m.Else():
            base = Signal.like(picture_base)
            m.d.comb += base.eq(picture_base + config.picture_words)
            m.d.sync += [
                picture_base.eq(base),
                pictures_left.eq(pictures_left - 1),
                self.o.valid.eq(pictures_left != 0),
                tile.new_picture.eq(1),
                *self._first_band(band_line, band_base, rows_left, base),
            ]
