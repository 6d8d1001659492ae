"""float32 arithmetic in integers: accumulators to mantissas, products of mantissas to int8."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import MULTIPLIER_WIDTH, OutputRange
from rtl.stream.pipeline import pipeline
from rtl.validate import boolean

__all__ = ["FromFloat", "ToFloat"]

MANTISSA = 24  # bits of a float32's significand, the leading 1 included
#: ``m * 2 ** (e - BIAS)`` is the value of a float32 with exponent ``e`` and significand ``m``.
BIAS = 127 + MANTISSA - 1


def _half_even(value, guard, sticky):
    """``value``, rounded to even by the bits that were cut off behind it; one bit wider."""
    return value + (guard & (sticky | value[0]))


class ToFloat(wiring.Component):
    """The nearest float32 of an int32, ties to even, and a float32 scale, both unpacked.

    ``|x * scale| = mantissa * scale_mantissa / 2^exponent`` once ``x`` is that float32. All outputs
    come ``latency`` enabled cycles later.

    Members
    -------
    enable : ``In(1)``
    x : ``In(signed(32))``
    scale : ``In(MULTIPLIER_WIDTH)``
        The bits of a float32 from 0 to below 8. 0 and denormals get a leading 1 here, but are so
        small that they round to 0 all the same.
    negative : ``Out(1)``
        ``x`` is negative.
    mantissa, scale_mantissa : ``Out(24)``
        Normalised; ``mantissa`` may be 0.
    exponent : ``Out(signed(9))``
    """

    latency = 4

    enable: In(1)
    x: In(signed(32))
    scale: In(MULTIPLIER_WIDTH)
    negative: Out(1)
    mantissa: Out(MANTISSA)
    scale_mantissa: Out(MANTISSA)
    exponent: Out(signed(9))

    def elaborate(self, platform):
        m = Module()

        def after(value, name, cycles=1):
            return pipeline(m, self.enable, value, name, cycles)

        magnitude = after(Mux(self.x[-1], -self.x, self.x)[:32], "magnitude")
        # The leading 1 moves to bit 31, at first by whole bytes.
        coarse, coarse_zeros = _normalise(m, magnitude, 8, "coarse")
        coarse, coarse_zeros = after(coarse, "coarse"), after(coarse_zeros, "coarse_zeros")
        fine, fine_zeros = _normalise(m, coarse, 1, "fine")
        fine = after(fine, "fine")
        zeros = after(Cat(fine_zeros, coarse_zeros), "zeros")
        rounded = _half_even(fine[8:], fine[7], fine[:7].any())
        overflow = rounded[MANTISSA]  # then all its other bits are 0
        m.d.comb += self.mantissa.eq(after(rounded[:MANTISSA] | (overflow << MANTISSA - 1),
                                           "mantissa"))
        # |x| is the mantissa times 2^(8 - zeros), once more if it overflowed.
        exponent, fraction = self.scale[MANTISSA - 1:31], self.scale[:MANTISSA - 1]
        m.d.comb += [
            self.scale_mantissa.eq(Cat(after(fraction, "fraction", 4), 1)),
            self.exponent.eq(after((BIAS - 8 - after(exponent, "scale_exponent", 3)) + zeros
                                   - overflow, "exponent")),
            self.negative.eq(after(self.x[-1], "negative", 4)),
        ]
        return m


def _normalise(m, value, step, name):
    """``value`` of 32 bits, shifted left so that a 1 is among its ``step`` upper bits: by 0 to 3
    times 8, or 0 to 7 times 1. Returns it, and how many times."""
    moved = Signal(32, name=f"{name}_moved")
    count = Signal(2 if step == 8 else 3, name=f"{name}_count")
    most = (1 << len(count)) - 1
    m.d.comb += [moved.eq(value << step * most), count.eq(most)]
    for zeros in reversed(range(most)):
        with m.If(value[32 - step * (zeros + 1):32 - step * zeros].any()):
            m.d.comb += [moved.eq(value << step * zeros), count.eq(zeros)]
    return moved, count


class FromFloat(wiring.Component):
    """A product of two mantissas, rounded to float32 and that to an integer, ties to even; then
    zero point and clamp. The result comes ``latency`` enabled cycles later.

    Parameters
    ----------
    varies : :class:`bool`
        As of :class:`Rounding`.

    Members
    -------
    enable : ``In(1)``
    product : ``In(signed(66))``
        Of two normalised mantissas, or 0.
    negative, exponent : ``In(1)``, ``In(signed(9))``
        As of :class:`ToFloat`.
    range : ``In(OutputRange)``
        As of :class:`Rounding`.
    o : ``Out(signed(8))``
    """

    latency = 5

    enable: In(1)
    product: In(signed(32 + MULTIPLIER_WIDTH))
    negative: In(1)
    exponent: In(signed(9))
    range: In(OutputRange)
    o: Out(signed(8))

    def __init__(self, *, varies=False):
        self.varies = boolean("varies", varies)
        super().__init__()

    def elaborate(self, platform):
        m = Module()

        def after(value, name, cycles=1):
            return pipeline(m, self.enable, value, name, cycles)

        # Two normalised mantissas have a product of 48 bits or one less, of which 24 remain.
        top = self.product[2 * MANTISSA - 1]
        cut = self.product[:2 * MANTISSA] << ~top
        cut = after(cut[:2 * MANTISSA], "cut")
        mantissa = after(_half_even(cut[MANTISSA:], cut[MANTISSA - 1], cut[:MANTISSA - 1].any()),
                         "mantissa")
        # Bits of it behind the point: a number with 25 is at most 1/2, and rounds to 0; one with
        # fewer than 16 is at least 256, out of range whatever the zero point. It cannot be 0, which
        # has 150 less the scale's exponent: at least 20 for a scale below 8.
        behind = after(self.exponent - MANTISSA + ~top, "behind", 2)
        most, least = MANTISSA, MANTISSA - 8
        places = Signal(range(most - least + 1))
        m.d.comb += places.eq(most - behind)
        shifted = Signal(MANTISSA + 1 + most - least)
        m.d.comb += shifted.eq(mantissa << places)
        small = after(behind > most, "small")
        large = after(behind < least, "large")
        shifted = after(shifted, "shifted")
        whole, rest = shifted[MANTISSA:], shifted[:MANTISSA]
        magnitude = Mux(small, 0, Mux(large, -1, _half_even(whole, rest[-1], rest[:-1].any())))
        magnitude = Cat(magnitude[:len(whole)], 0).as_signed()
        negative = after(self.negative, "negative", 3)
        signed_ = after(Mux(negative, -magnitude, magnitude), "signed")
        zero_point, low, high = (after(self.range[name], name, 2 * self.varies).as_signed()
                                 for name in ("zero_point", "low", "high"))
        total = signed_ + zero_point
        with m.If(self.enable):
            m.d.sync += self.o.eq(Mux(total < low, low, Mux(
                total > high, high, total)))
        return m
