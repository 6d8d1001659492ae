from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.check import one_of
from rtl.layouts import MULTIPLIER_WIDTH
from rtl.postprocess.rounding import SCALED_WIDTH

__all__ = ["SerialScale"]


def _add(a, b, carry):
    """``a + b + carry`` in one carry chain, which the carry enters by a bit below the others.

    Slicing the sum also keeps synthesis from merging chains into trees of full adders, which are
    twice as large.
    """
    total = Cat(Const(1, 1), a).as_signed() + Cat(carry, b).as_signed()
    return total[1:].as_signed()


class SerialScale(wiring.Component):
    """``((acc + bias) * multiplier +- 2^30) >> 31`` in ``cycles`` steps, without a DSP.

    Each step adds the product with ``digit_bits`` bits of the multiplier, the lowest first, and
    drops as many bits of the sum; since nested floors are one floor, the result is exact. Two bits
    at a time are taken as -1, 0, 1 or 2 and a carry: one LUT a bit selects ``-x``, ``0``, ``x`` or
    ``2x``, and one adds.

    Parameters
    ----------
    cycles : :class:`int`
        2, 3, 4 or 6.

    Members
    -------
    load : ``In(1)``
        Takes ``acc + bias``; the first step comes in the next cycle.
    acc, bias, multiplier : ``In``
        ``multiplier`` holds during the steps.
    shifted : ``In(1)``
        A shift follows: ``-2^30`` is to be added where ``acc + bias`` is negative.
    run : ``In(1)``
        Do a step.
    step : ``In(range(cycles))``
        Which.
    scaled : ``Out(signed(SCALED_WIDTH))``
        The result, in the cycle after the last step.
    """

    def __init__(self, *, cycles):
        self.cycles = one_of("cycles", cycles, (2, 3, 4, 6))
        self.digit_bits = 2 * -(-MULTIPLIER_WIDTH // (2 * self.cycles))
        super().__init__({
            "load": In(1),
            "acc": In(signed(32)),
            "bias": In(signed(32)),
            "multiplier": In(MULTIPLIER_WIDTH),
            "shifted": In(1),
            "run": In(1),
            "step": In(range(self.cycles)),
            "scaled": Out(signed(SCALED_WIDTH)),
        })

    def elaborate(self, platform):
        m = Module()
        bits, steps = self.digit_bits, self.cycles
        x = Signal(signed(32), reset_less=True)
        with m.If(self.load):
            m.d.sync += x.eq(self.acc + self.bias)

        rest = Signal(signed(32 + bits), reset_less=True)  # what the next step adds to
        carry = Signal(reset_less=True)
        first = self.step == 0
        words = Cat(self.multiplier, Const(0, bits * steps - MULTIPLIER_WIDTH))
        digit = Signal(bits)
        m.d.comb += digit.eq(words.word_select(self.step, bits))

        down = self.shifted & x[-1]
        constant = Cat(Const(0, 30), Const(1, 1), down, down).as_signed()  # +- 2^30
        total = Signal(signed(33), name="total_0")
        m.d.comb += total.eq(Mux(first, constant, rest >> bits))
        borrow = carry & ~first
        low = []
        for position in range(0, bits, 2):
            value = Signal(3, name=f"value_{position}")
            part = Signal(signed(33), name=f"part_{position}")
            added = Signal(signed(34), name=f"sum_{position}")
            after = Signal(signed(33), name=f"total_{position + 2}")
            # 0 to 2 stand for themselves, 3 for -1 and a carry, 4 for 0 and a carry.
            m.d.comb += value.eq(digit[position:position + 2] + borrow)
            with m.Switch(value[:2]):
                with m.Case(1):
                    m.d.comb += part.eq(x)
                with m.Case(2):
                    m.d.comb += part.eq(x << 1)
                with m.Case(3):
                    m.d.comb += part.eq(~x)
            m.d.comb += [added.eq(_add(total, part, value == 3)), after.eq(added >> 2)]
            low.append(added[:2])
            total, borrow = after, value >= 3
        with m.If(self.run):
            m.d.sync += [rest.eq(Cat(*low, total)), carry.eq(borrow)]
        m.d.comb += self.scaled.eq(rest >> (31 - bits * (steps - 1)))
        return m
