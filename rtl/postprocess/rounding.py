from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import SHIFT_WIDTH, OutputRange
from rtl.stream.pipeline import pipeline
from rtl.validate import boolean

__all__ = ["Rounding", "SCALED_WIDTH"]

#: 32 bits times 34 bits, less 31 fractional bits, plus a bit for the rounding.
SCALED_WIDTH = 36


class Rounding(wiring.Component):
    """Right shift with rounding, zero point, clamp: the end of a requantisation.

    ``o = clamp((scaled >> shift) + last bit shifted out + zero_point, low, high)``, ``latency``
    enabled cycles later.

    Parameters
    ----------
    varies : :class:`bool`
        Whether ``range`` may change with each result, rather than hold.

    Members
    -------
    enable : ``In(1)``
        Advances all registers.
    scaled, shift : ``In(signed(SCALED_WIDTH))``, ``In(SHIFT_WIDTH)``
    range : ``In(OutputRange)``
        If it ``varies``: that of the result that comes three enabled cycles later.
    o : ``Out(signed(8))``
    """

    enable: In(1)
    scaled: In(signed(SCALED_WIDTH))
    shift: In(SHIFT_WIDTH)
    range: In(OutputRange)
    o: Out(signed(8))

    latency = 4
    #: Bits that decide an int8: a number that needs more is out of range, whatever the zero point.
    WIDTH = 11

    def __init__(self, *, varies=False):
        self.varies = boolean("varies", varies)
        super().__init__()

    def elaborate(self, platform):
        m = Module()

        def after(value, name):
            return pipeline(m, self.enable, value, name)

        def along(value, name, cycles=1):
            """What derives from the range, that many cycles later."""
            if not self.varies:
                return value
            return pipeline(m, self.enable, value, name, cycles).as_signed()

        # One bit more at the bottom keeps the last bit shifted out. The first shift is by multiples
        # of 8; of the bits above the window only one goes on: whether they put it out of range.
        window = self.WIDTH + 1 + 7
        doubled = Cat(0, self.scaled).as_signed()
        coarse, far = Signal(signed(window)), Signal()
        negative = self.scaled[-1]
        with m.Switch(self.shift[3:]):
            for step in range(4):
                with m.Case(step):
                    moved = doubled >> 8 * step
                    rest = moved[window - 1:-1]
                    m.d.comb += coarse.eq(moved)
                    m.d.comb += far.eq(Mux(negative, ~rest.all(), rest.any()) if len(rest) else 0)
        coarse, far = after(coarse, "coarse"), after(far, "far")

        fine = after((coarse >> after(self.shift[:3], "shift"))[:window], "fine")
        negative = after(after(negative, "sign"), "negative")
        rest = fine[self.WIDTH:]
        over = after(after(far, "beyond") | Mux(negative, ~rest.all(), rest.any()), "over")

        # The bit that rounds enters as the carry. Comparisons with the limits run beside the sum.
        bit, quotient = fine[0], fine[1:self.WIDTH + 1]
        limits = {"under": self.range.zero_point - self.range.low,
                  "up_to": self.range.zero_point - self.range.high - 1}
        fixed = {"total": along(self.range.zero_point, "zero_point")}
        fixed |= {name: after(value, f"{name}_limit").as_signed()
                  for name, value in limits.items()}
        low, high = (along(self.range[name], name, 2) for name in ("low", "high"))
        sums = {name: (Cat(bit, quotient).as_signed() + Cat(bit, value).as_signed()) >> 1
                for name, value in fixed.items()}
        total = after(sums["total"][:8], "total")
        under, up_to = (after(sums[name][-1], name) for name in limits)
        negative = after(negative, "below")
        clamped = Signal(signed(8))
        with m.If(Mux(over, negative, under)):
            m.d.comb += clamped.eq(low)
        with m.Elif(over | ~up_to):
            m.d.comb += clamped.eq(high)
        with m.Else():
            m.d.comb += clamped.eq(total)
        m.d.comb += self.o.eq(after(clamped, "clamped"))
        return m
