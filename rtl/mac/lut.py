"""Products in look-up tables and carry chains."""

from amaranth import *

from rtl.mac.carry import add_ecp5, add_ice40
from rtl.mac.product import Product

__all__ = ["LutProduct"]


def extend(bits, width):
    """``bits`` of a signed number, lowest first, as a list of ``width``."""
    return [*bits, *[bits[-1]] * (width - len(bits))]


class LutProduct(Product):
    """Products out of tables and carries, with no multiplier.

    On ECP5, four carry chains add two rows of partial products each, with the products of bits in
    the chains' own tables; two chains add their sums by twos, and one theirs: 72 tables. A latency
    of 3 puts a register in front of the last chain, one of 4 another behind the first four.

    On iCE40, one row after the other is added to what the first one makes: 71 cells, 88 with the
    registers.

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """

    min_latency = 2

    def multiply(self, m, family):
        build = self._ecp5 if family == "ecp5" else self._ice40
        products = [build(m, f"lane_{lane}", *pair)
                    for lane, pair in enumerate(zip(*self.operands(m), strict=True))]
        return products, min(self.latency - 1, 3) if family == "ecp5" else 1

    def _ecp5(self, m, name, x, w):
        def register(value, latency):
            if self.latency < latency:
                return value
            late = Signal.like(value, name=f"{value.name}_late", reset_less=True)
            m.d.sync += late.eq(value)
            return late

        def add(name, low, high, shift):
            """``low`` plus ``high`` times ``2 ** shift``, both signed."""
            bits = zip(extend(low, shift + len(high))[shift:], high, strict=True)
            upper = add_ecp5(m, f"{name}_upper", [(a, 1, b, 1) for a, b in bits])
            total = Signal(shift + len(high), name=name)
            m.d.comb += total.eq(Cat(low[:shift], upper))
            return total

        w = extend(w, 10)
        pairs = [register(add_ecp5(
            m, f"{name}_row_{row}",
            [(x[row + 1], above, x[row], here) for here, above in zip(w, [0, *w], strict=False)],
            subtract=row == 6), 4) for row in range(0, 8, 2)]
        halves = [register(add(f"{name}_rows_{half}", *pairs[half:half + 2], 2), 3)
                  for half in (0, 2)]
        return add(name, *halves, 4)

    def _ice40(self, m, name, x, w):
        rows = [Signal(8, name=f"{name}_row_0")]
        m.d.comb += rows[0].eq(w & x[0].replicate(8))
        # The row of the sign counts negative: a - b is the complement of ~a + b, so the row before
        # hands on its complement, except for the bit that is done with.
        for row, inverted in (*((row, 0) for row in range(1, 6)), (6, 0x1FE), (7, 0x1FF)):
            rows.append(add_ice40(m, f"{name}_row_{row}", extend(rows[-1][1:], 9), extend(w, 9),
                                  x[row], inverted=inverted))
        return Cat(*(row[0] for row in rows[:-1]), rows[-1])
