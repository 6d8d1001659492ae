from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.array.cell import Cell
from rtl.layouts import bytes_of
from rtl.params import COLS_PER_STAGE, ArrayParams
from rtl.stream.delay import Delay
from rtl.validate import integer, of_type, shape

__all__ = ["SystolicArray", "vector_of"]


def vector_of(vector_bytes, tag_shape):
    """Layout of one input vector of the array."""
    return data.StructLayout({
        "data": bytes_of(vector_bytes),  #: An activation for each row or, in a FIR tile, column.
        "first": 1,               #: First vector of a tile: the loaded weights come into use.
        "fir": 1,                 #: The tile is a depthwise FIR.
        "tag": tag_shape,         #: Leaves with the sums of this vector, whatever it means.
    })


class SystolicArray(wiring.Component):
    """Weight-stationary systolic array of int8 products with exact sums.

    A tile is ``rows x cols`` weights and the vectors that meet them. In an ordinary tile every
    vector ``x`` gives ``sums[c] = sum(w[r][c] * x[r] for r in rows)``. In a FIR tile (a build
    option) column ``c`` filters its own channel along the vectors instead: ``sums[c]`` of vector
    ``n`` is ``sum(w[k][c] * x_n+k[c] for k in fir_rows)``; rows from ``fir_rows`` on must hold zero
    weights, and each line of vectors must come without a gap and ends with ``taps - 1`` vectors
    whose own sums are meaningless.

    Sums leave ``latency`` cycles after their vector, and throughput is one vector a cycle. Weights
    are double buffered: tiles follow each other without a bubble as long as each has at least
    ``min_tile`` vectors and the weights come one row a cycle. ``i.ready`` is low only before the
    first vector of a tile whose weights are not all loaded, and depends combinationally on
    ``i.payload.first``.

    Parameters
    ----------
    params : :class:`ArrayParams`
    tag_shape : shape-like
        Shape of the tag that travels with each vector.
    lead : :class:`int`
        Cycles by which ``tags`` runs ahead of ``o``; at most ``latency``.
    min_tile : :class:`int`
        Lower bound of the number of cycles between the first vectors of two tiles, for a consumer
        that needs one.

    Members
    -------
    i : ``In(stream.Signature(vector_of(vector_bytes, tag_shape)))``
    weights : ``In(stream.Signature(bytes_of(cols)))``
        Rows of a tile, row 0 first.
    tags : ``Out(stream.Signature(tag_shape, always_ready=True))``
        Tag of each vector, ``lead`` cycles before its sums.
    o : ``Out(stream.Signature(ArrayLayout(signed(sum_width), cols), always_ready=True))``
    """

    def __init__(self, params, *, tag_shape=1, lead=0, min_tile=1):
        self.params = of_type("params", params, ArrayParams)
        self.tag_shape = shape("tag_shape", tag_shape)
        self.latency = self.latency_of(params)
        self.lead = integer("lead", lead, 0, self.latency)
        self.min_tile = max(self.min_tile_of(params), integer("min_tile", min_tile, 1, 64))
        self.hold = self.min_tile - self.load_cycles_of(params)
        sums = data.ArrayLayout(signed(params.sum_width(params.rows - 1)), params.cols)
        super().__init__({
            "i": In(stream.Signature(vector_of(params.vector_bytes, tag_shape))),
            "weights": In(stream.Signature(bytes_of(params.cols))),
            "tags": Out(stream.Signature(tag_shape, always_ready=True)),
            "o": Out(stream.Signature(sums, always_ready=True)),
        })

    @staticmethod
    def latency_of(params):
        """``latency`` of an array of ``params``."""
        return params.rows + params.stages - 1 + params.product_latency

    @staticmethod
    def load_cycles_of(params):
        """Cycles from the first row of a tile's weights to the first vector that may meet them."""
        # A row of weights arrives the cycle after it was taken, in time for any swap but that of a
        # row 0 without others behind it.
        return params.rows + (params.rows == 1)

    @classmethod
    def min_tile_of(cls, params):
        """``min_tile`` of an array of ``params`` whose consumer asks for none."""
        # The last stage swaps `stages - 1` cycles after the first.
        return cls.load_cycles_of(params) + max(params.stages - 2, 1)

    def elaborate(self, platform):
        m = Module()
        rows, stages = self.params.rows, self.params.stages

        accepted = Signal()
        swap = Signal()
        row_weights, loads = self._elaborate_loading(m, swap)
        m.d.comb += [
            accepted.eq(self.i.valid & self.i.ready),
            # To no effect while the vector waits for its weights: none meets what it swaps in then.
            swap.eq(self.i.valid & self.i.payload.first),
        ]

        # Control signals reach row r and stage p after r + p cycles.
        m.submodules.swaps = swaps = Delay(1, rows + stages - 2, reset_less=False)
        m.submodules.firs = firs = Delay(1, rows + stages - 2)
        m.d.comb += [swaps.i.eq(swap), firs.i.eq(self.i.payload.fir)]

        m.submodules.valid = valid = Delay(1, self.latency, reset_less=False)
        m.submodules.tag = tag = Delay(self.tag_shape, self.latency - self.lead)
        m.d.comb += [
            valid.i.eq(accepted),
            tag.i.eq(self.i.payload.tag),
            self.tags.valid.eq(valid.taps[self.latency - self.lead]),
            self.tags.payload.eq(tag.o),
            self.o.valid.eq(valid.o),
        ]

        skews = []
        for lane in range(self.params.vector_bytes):
            cycles = lane if lane < rows else lane // COLS_PER_STAGE
            m.submodules[f"skew_{lane}"] = skew = Delay(signed(8), cycles)
            m.d.comb += skew.i.eq(self.i.payload.data[lane])
            skews.append(skew)

        cells = {}
        for stage in range(stages):
            begin = COLS_PER_STAGE * stage
            columns = range(begin, begin + self.params.stage_cols(stage))
            for row in range(rows):
                cell = Cell(self.params, row=row, stage=stage)
                m.submodules[f"cell_{row}_{stage}"] = cells[row, stage] = cell
                m.d.comb += [
                    cell.left.eq(cells[row, stage - 1].right if stage else skews[row].o),
                    cell.swap.eq(swaps.taps[row + stage]),
                    cell.load.eq(loads[row]),
                    *(cell.weights[lane].eq(row_weights[column])
                      for lane, column in enumerate(columns)),
                ]
                if row > 0:
                    m.d.comb += cell.above.eq(cells[row - 1, stage].below)
                if cell.has_fir:
                    m.d.comb += cell.fir.eq(firs.taps[row + stage])
                    m.d.comb += [cell.top[lane].eq(skews[column].taps[stage])
                                 for lane, column in enumerate(columns)]
            m.submodules[f"deskew_{stage}"] = deskew = Delay(cell.below.shape(), stages - 1 - stage)
            m.d.comb += deskew.i.eq(cell.below)
            m.d.comb += [self.o.payload[column].eq(deskew.o[lane])
                         for lane, column in enumerate(columns)]
        return m

    def _elaborate_loading(self, m, swap):
        """Take weights row by row. Returns a row, and a strobe for each row that it may be for;
        both registered, as they go to all cells."""
        row = Signal(self.params.rows, init=1)  # one-hot
        loads = Signal.like(row, init=0)
        weights = Signal.like(self.weights.payload, reset_less=True)
        full = Signal()
        hold = Signal(range(self.hold))
        load = Signal()
        m.d.comb += [
            self.weights.ready.eq(~full & (hold == 0)),
            load.eq(self.weights.valid & self.weights.ready),
            self.i.ready.eq(~self.i.payload.first | (full & ~loads[0] if len(row) == 1 else full)),
        ]
        m.d.sync += [weights.eq(self.weights.payload), loads.eq(row & load.replicate(len(row)))]
        with m.If(hold != 0):
            m.d.sync += hold.eq(hold - 1)
        with m.If(load):
            m.d.sync += row.eq(row.rotate_left(1))
            m.d.sync += full.eq(row[-1])
        with m.If(swap & self.i.ready):
            m.d.sync += [full.eq(0), hold.eq(self.hold - 1)]
        return weights, loads
