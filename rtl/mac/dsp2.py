"""Two products in one ECP5 multiplier."""

from amaranth import *

from rtl.mac.carry import add_ecp5
from rtl.mac.dsp import mult18x18d
from rtl.mac.product import Product

__all__ = ["Dsp2Product"]


class Dsp2Product(Product):
    """Two products of one activation in one ``MULT18X18D``, exact for all int8.

    The multiplier forms ``x * (w1 * 512 + w0)``. Its low 9 bits are those of ``x * w0``, and the
    bits above them are ``x * w1 + t`` with ``t = x * w0 >> 9``, a number from -32 to 32. The low 7
    bits of ``x * w1`` are computed again in tables: their distance from the multiplier's bits is
    ``t`` modulo 128, and so ``t``, which completes ``x * w0``. The bits of ``x * w1`` above them
    are the multiplier's, but for a carry or borrow of ``t``: as ``t`` is small, the top two of the
    7 bits tell. (With a factor of 1024 rather than 512 six bits of ``x * w1`` would be enough, but
    the pair of weights would not fit 18 bits for -128.)

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """

    min_latency = 4
    min_cols = 2
    shares_x = True
    family = "ecp5"

    def multiply(self, m, family):
        w0, w1 = self.w
        borrow = w0[7]
        packed = mult18x18d(
            m, "multiplier", x=self.x[0], w=Cat(w0, borrow, (w1 - borrow)[:9]).as_signed(),
            swap=self.swap)

        low = self._low_bits(m)
        above, high = packed[9:16], packed[16:25]
        wrapped_down = (above[5:] == 0b11) & (low[5:] == 0b00)
        wrapped_up = (above[5:] == 0b00) & (low[5:] == 0b11)
        change = Cat(wrapped_down | wrapped_up, wrapped_up.replicate(8))
        return [Cat(packed[:9], (above - low)[:7]), Cat(low, (high + change)[:9])], 3

    def _low_bits(self, m):
        """The low 7 bits of ``x * w1``, with the latency of the multiplier's product."""
        x, w = Signal(7, reset_less=True), Signal(7, reset_less=True)
        m.d.sync += x.eq(self.x[0])
        with m.If(self.swap):
            m.d.sync += w.eq(self.w[1])

        rows_0, rows_2, rows_4 = (Signal(7 - row, name=f"rows_{row}", reset_less=True)
                                  for row in range(0, 6, 2))
        for row, rows in (0, rows_0), (2, rows_2):
            bits = zip([0, *w], w[:len(rows)], strict=False)
            m.d.sync += rows.eq(add_ecp5(m, f"low_{row}", [
                (x[row + 1], above, x[row], here) for above, here in bits]))
        m.d.sync += rows_4.eq(x[4:] * w[:3])

        upper, low = Signal(5), Signal(7, reset_less=True)
        m.d.comb += upper.eq(rows_0[2:] + rows_2)
        m.d.sync += low.eq(Cat(rows_0[:2], upper[:2], (upper[2:] + rows_4)[:3]))
        return low
