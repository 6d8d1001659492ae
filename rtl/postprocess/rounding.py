from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import SHIFT_WIDTH, OutputRange

__all__ = ["Rounding", "SCALED_WIDTH"]

#: 32 bits times 34 bits, less 31 fractional bits, and a bit for the rounding.
SCALED_WIDTH = 36


class Rounding(wiring.Component):
    """Right shift with rounding, zero point, clamp: the end of a requantisation.

    ``o = clamp((scaled >> shift) + last bit shifted out + zero_point, low, high)``

    Combinational, or with ``registered`` one register in the middle.

    Members
    -------
    enable : ``In(1)``
        Advances that register.
    scaled, shift : ``In(signed(SCALED_WIDTH))``, ``In(SHIFT_WIDTH)``
    range : ``In(OutputRange)``
    o : ``Out(signed(8))``
    """

    enable: In(1)
    scaled: In(signed(SCALED_WIDTH))
    shift: In(SHIFT_WIDTH)
    range: In(OutputRange)
    o: Out(signed(8))

    #: Bits that decide an int8: beyond them any number is out of range, whatever the zero point.
    WIDTH = 11

    def __init__(self, *, registered=False):
        self.registered = registered
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        # One bit more at the bottom keeps the last bit shifted out. First by multiples of 8, so
        # that of the bits above the window only the fact that they matter goes on.
        window = self.WIDTH + 1 + 7
        doubled = Cat(0, self.scaled).as_signed()
        coarse, far = Signal(signed(window)), Signal()
        fine, over = Signal(signed(window)), Signal()
        negative = self.scaled[-1]
        with m.Switch(self.shift[3:]):
            for step in range(4):
                with m.Case(step):
                    moved = doubled >> 8 * step
                    rest = moved[window - 1:-1]
                    m.d.comb += coarse.eq(moved)
                    m.d.comb += far.eq(Mux(negative, ~rest.all(), rest.any()) if len(rest) else 0)
        m.d.comb += fine.eq(coarse >> self.shift[:3])
        rest = fine[self.WIDTH:]
        m.d.comb += over.eq(far | Mux(negative, ~rest.all(), rest.any()))

        values = data_in = Cat(fine[:self.WIDTH + 1], over, negative)
        if self.registered:
            values = Signal.like(data_in, name="shifted", reset_less=True)
            with m.If(self.enable):
                m.d.sync += values.eq(data_in)
        bit, quotient = values[0], values[1:self.WIDTH + 1].as_signed()
        over, negative = values[self.WIDTH + 1], values[self.WIDTH + 2]

        # The bit that rounds goes in as the carry.
        total = Signal(signed(self.WIDTH + 1))
        m.d.comb += total.eq((Cat(bit, quotient).as_signed()
                              + Cat(bit, self.range.zero_point).as_signed()) >> 1)
        with m.If(Mux(over, negative, total < self.range.low)):
            m.d.comb += self.o.eq(self.range.low)
        with m.Elif(over | (total > self.range.high)):
            m.d.comb += self.o.eq(self.range.high)
        with m.Else():
            m.d.comb += self.o.eq(total)
        return m
