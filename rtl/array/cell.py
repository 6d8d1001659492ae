from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import bytes_of
from rtl.mac import KINDS
from rtl.params import ArrayParams
from rtl.validate import integer, of_type

__all__ = ["Cell"]


class Cell(wiring.Component):
    """Processing elements of one row and one skew stage: one or two neighbouring columns.

    Each column multiplies an activation by its stationary weight and adds the product to the sum
    from the row above. Weights are double buffered: the next one waits in a register until
    ``swap``.

    An activation taken in cycle ``t`` is on ``right`` in ``t + 1``. Its product is added to the sum
    that is on ``above`` in cycle ``t + latency``, and the result is on ``below`` one cycle later.

    Parameters
    ----------
    params : :class:`ArrayParams`
    row, stage : :class:`int`
        Position in the array, which decides the kind of product and the width of the sums.

    Members
    -------
    left, right : ``In(signed(8))``, ``Out(signed(8))``
        The activation of the row, and the same a cycle later for the next stage.
    swap : ``In(1)``
        The activation of this cycle is the first to meet the waiting weights.
    fir, top : ``In(1)``, ``In(bytes_of(cols))``
        FIR rows only: in cycles with ``fir`` each column takes its own activation from ``top``.
    weights, load : ``In(bytes_of(cols))``, ``In(1)``
        Weights for the next ``swap``, taken in cycles with ``load``.
    above, below : sums of ``cols`` columns
        Row 0 has no ``above``.
    """

    def __init__(self, params, *, row, stage):
        of_type("params", params, ArrayParams)
        row = integer("row", row, 0, params.rows - 1)
        stage = integer("stage", stage, 0, params.stages - 1)
        self.cols = params.stage_cols(stage)
        self.has_fir = row < params.fir_rows
        self.latency = params.product_latency
        self.kind = params.kind(row, stage)

        def sums(row):
            return data.ArrayLayout(signed(params.sum_width(row)), self.cols)

        members = {
            "left": In(signed(8)),
            "right": Out(signed(8)),
            "swap": In(1),
            "weights": In(bytes_of(self.cols)),
            "load": In(1),
            "below": Out(sums(row)),
        }
        if row > 0:
            members["above"] = In(sums(row - 1))
        if self.has_fir:
            members |= {"fir": In(1), "top": In(bytes_of(self.cols))}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        # In row 0 nothing is added: a register of the primitive may serve as that of the sum.
        alone = not hasattr(self, "above") and KINDS[self.kind].has_sum
        m.submodules.product = product = KINDS[self.kind](cols=self.cols,
                                                          latency=self.latency + alone)

        waiting = Signal(bytes_of(self.cols), reset_less=True)
        right = Signal(signed(8), reset_less=True)
        below = Signal.like(self.below, reset_less=True)
        with m.If(self.load):
            m.d.sync += waiting.eq(self.weights)
        m.d.sync += right.eq(self.left)
        m.d.comb += [
            product.w.eq(waiting),
            product.swap.eq(self.swap),
            self.right.eq(right),
            self.below.eq(product.p if alone else below),
        ]
        for lane in range(self.cols):
            x = Mux(self.fir, self.top[lane], self.left) if self.has_fir else self.left
            m.d.comb += product.x[lane].eq(x)
            above = self.above[lane] if hasattr(self, "above") else 0
            m.d.sync += below[lane].eq(above + product.p[lane])
        return m
