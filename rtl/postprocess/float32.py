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


def _up(value, rest):
    """Whether ``value``, behind which the bits of ``rest`` were cut off, is rounded upwards, ties
    to even. A sum of both is a stage of its own."""
    return rest[-1] & (rest[:-1].any() | value[0])


class ToFloat(wiring.Component):
    """The nearest float32 of an int32, ties to even, and a float32 scale, both unpacked.

    ``|x * scale| = mantissa * scale_mantissa / 2^exponent`` once ``x`` is that float32. All outputs
    come ``latency`` enabled cycles later, but ``exponent`` one after them.

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

    latency = 6

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
        coarse_zeros = _zeros(m, magnitude, 8, "coarse")
        coarse = after((magnitude << 8 * coarse_zeros)[:32], "coarse")
        fine_zeros = after(_zeros(m, coarse, 1, "fine"), "fine_zeros")
        fine = after((after(coarse, "normalised") << fine_zeros)[:32], "fine")
        zeros = Cat(fine_zeros, after(coarse_zeros, "coarse_zeros", 2))
        up, kept = after(_up(fine[8:], fine[:8]), "up"), after(fine[8:], "kept")
        rounded = kept + up
        overflow = rounded[MANTISSA]  # then all its other bits are 0
        m.d.comb += self.mantissa.eq(after(rounded[:MANTISSA] | (overflow << MANTISSA - 1),
                                           "mantissa"))
        # |x| is the mantissa times 2^(8 - zeros), once more if it overflowed.
        exponent, fraction = self.scale[MANTISSA - 1:31], self.scale[:MANTISSA - 1]
        room = after(BIAS - 8 - after(exponent, "scale_exponent", 3) + zeros, "room", 3)
        m.d.comb += [
            self.scale_mantissa.eq(Cat(after(fraction, "fraction", self.latency), 1)),
            self.exponent.eq(after(room - after(overflow, "overflow"), "exponent")),
            self.negative.eq(after(self.x[-1], "negative", self.latency)),
        ]
        return m


def _zeros(m, value, step, name):
    """How often ``value`` of 32 bits has to be shifted left by ``step`` so that a 1 is among its
    ``step`` upper bits: up to 3 times by 8, or up to 7 times by 1."""
    count = Signal(2 if step == 8 else 3, name=f"{name}_count")
    most = (1 << len(count)) - 1
    m.d.comb += count.eq(most)
    for zeros in reversed(range(most)):
        with m.If(value[32 - step * (zeros + 1):32 - step * zeros].any()):
            m.d.comb += count.eq(zeros)
    return count


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
        As of :class:`ToFloat`; they come with ``product``.
    range : ``In(OutputRange)``
        As of :class:`Rounding`.
    o : ``Out(signed(8))``
    """

    latency = 10

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
        up = after(_up(cut[MANTISSA:], cut[:MANTISSA]), "up")
        mantissa = after(after(cut[MANTISSA:], "kept") + up, "mantissa")
        # Bits of it behind the point: a number with 25 is at most 1/2, and rounds to 0; one with
        # fewer than 16 is at least 256, out of range whatever the zero point. It cannot be 0, which
        # has 150 less the scale's exponent: at least 20 for a scale below 8.
        behind = after(self.exponent - MANTISSA + ~top, "behind", 2)
        most, least = MANTISSA, MANTISSA - 8
        places = Signal(range(most - least + 1))
        m.d.comb += places.eq(most - behind)
        places = after(places, "places")
        small, large = after(behind > most, "small", 3), after(behind < least, "large", 3)
        shifted = Signal(MANTISSA + 1 + most - least)
        m.d.comb += shifted.eq(mantissa << places)
        shifted = after(shifted, "shifted")
        whole, rest = shifted[MANTISSA:], shifted[:MANTISSA]
        rounded = after(whole, "whole") + after(_up(whole, rest), "up_whole")
        magnitude = after(Mux(small, 0, Mux(large, -1, rounded))[:len(whole)], "magnitude")
        magnitude = Cat(magnitude, 0).as_signed()
        negative = after(self.negative, "negative", 6)
        signed_ = after(Mux(negative, -magnitude, magnitude), "signed")
        total = after(signed_ + self.range.zero_point, "total")
        low, high = (after(self.range[name], name, self.varies).as_signed()
                     for name in ("low", "high"))
        clamped = Mux(after(total < low, "under"), after(low, "low_later", self.varies).as_signed(),
                      Mux(after(total > high, "over"),
                          after(high, "high_later", self.varies).as_signed(),
                          after(total[:8], "inside").as_signed()))
        with m.If(self.enable):
            m.d.sync += self.o.eq(clamped)
        return m
