"""Products in look-up tables and carry chains."""

from amaranth import *

from rtl.mac.carry import add_ecp5, add_ice40
from rtl.mac.product import Product

__all__ = ["LutProduct"]


def extend(bits, width):
    """``bits`` of a signed number, lowest first, as a list of ``width``."""
    return [*bits, *[bits[-1]] * (width - len(bits))]


def join(low, high, shift):
    """``low`` plus ``high`` times ``2 ** shift``, both signed; as wide as the latter."""
    return Cat(low[:shift], (low[shift:].as_signed() + high.as_signed())[:len(high)])


def register(m, name, value):
    """``value`` a cycle later."""
    late = Signal(len(value), name=name, reset_less=True)
    m.d.sync += late.eq(value)
    return late


class LutProduct(Product):
    """Products out of look-up tables and carry chains, with no multiplier.

    Each half of an activation has a register for its product with the weight, and one more adder
    joins the two. On ECP5 a half is two carry chains for two rows of bits each, with the products
    of bits in the chains' own tables, and an adder: 72 tables in all. A latency of 4 or more puts
    another register in front of that adder. On iCE40 a half adds one row after the other to the
    first: 82 cells in all, 102 with the registers.

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """

    min_latency = 3

    def multiply(self, m, family):
        deep = family == "ecp5" and self.latency > 3
        products = []
        for lane, (x, w) in enumerate(zip(*self.operands(m), strict=True)):
            halves = []
            for half in range(2):
                name = f"half_{lane}_{half}"
                nibble, is_top = x[4 * half:4 * half + 4], half == 1
                if family == "ecp5":
                    value = self._half_ecp5(m, name, nibble, w, is_top, deep)
                else:
                    value = self._half_ice40(m, name, nibble, w, is_top)
                halves.append(register(m, name, value))
            products.append(join(*halves, 4))
        return products, 2 + deep

    def _half_ecp5(self, m, name, x, w, is_top, deep):
        w = extend(w, 10)
        pairs = []
        for row in (0, 2):
            pair = add_ecp5(m, f"{name}_rows_{row}", [
                (x[row + 1], above, x[row], here) for here, above in zip(w, [0, *w], strict=False)
            ], subtract=is_top and row == 2)
            pairs.append(register(m, f"{name}_pair_{row}", pair) if deep else pair)
        return join(*pairs, 2)

    def _half_ice40(self, m, name, x, w, is_top):
        rows = [Signal(8, name=f"{name}_row_0")]
        m.d.comb += rows[0].eq(w & x[0].replicate(8))
        # The row of the sign bit is negative: a - b is the complement of ~a + b. So the row before
        # it hands on its complement, but for the bit that is final.
        for row, inverted in (1, 0), (2, 0x1FE), (3, 0x1FF):
            rows.append(add_ice40(m, f"{name}_row_{row}", extend(rows[-1][1:], 9), extend(w, 9),
                                  x[row], inverted=inverted if is_top else 0))
        return Cat(*(row[0] for row in rows[:3]), rows[3])
