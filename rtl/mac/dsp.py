"""One ECP5 multiplier per product."""

from amaranth import *

from rtl.mac.product import Product
from rtl.stream.pipeline import pipeline

__all__ = ["DspProduct", "mult18x18d"]


def mult18x18d(m, name, *, x, w, swap=1, enable=1):
    """A ``MULT18X18D`` with registers at its inputs, within, and behind it: ``x`` times the weight
    in use.

    The weight in use is held by the register that ``w`` enters with ``swap``. The product of an
    ``x`` comes three cycles after it; cycles without ``enable`` do not count.

    The last register is in fabric: the open tools cannot set the clock enable of the multiplier's
    own (no bits for ``REG_OUTPUT_CE`` in Project Trellis). All other registers name theirs, because
    nextpnr, which moves enables so that a block's four are shared, corrects only names that are
    given.

    Returns the product of the two signed operands, of up to 18 bits each.
    """
    # Ref: FPGA-TN-02205, ECP5 and ECP5-5G sysDSP Usage Guide: ports and attributes of MULT18X18D
    product = Signal(signed(36), name=f"{name}_product")
    a, b = Signal(signed(18), name=f"{name}_x"), Signal(signed(18), name=f"{name}_w")
    m.d.comb += [a.eq(x), b.eq(w)]
    enables = {"INPUTA": "CE0", "INPUTB": "CE1", "PIPELINE": "CE0"}
    m.submodules[name] = Instance(
        "MULT18X18D",
        *(("p", f"REG_{register}_CLK", "CLK0") for register in enables),
        *(("p", f"REG_{register}_CE", pin) for register, pin in enables.items()),
        *(("i", f"A{bit}", a[bit]) for bit in range(18)),
        *(("i", f"B{bit}", b[bit]) for bit in range(18)),
        *(("o", f"P{bit}", product[bit]) for bit in range(36)),
        p_GSR="DISABLED",
        i_SIGNEDA=1, i_SIGNEDB=1, i_SOURCEA=0, i_SOURCEB=0,
        i_CLK0=ClockSignal(), i_CE0=enable, i_CE1=swap, i_RST0=0)
    return pipeline(m, enable, product, f"{name}_late")


class DspProduct(Product):
    """One ``MULT18X18D`` per product, with all of its registers but the last in use.

    Activation and weight are registered in fabric once more in front of it: multipliers stand in a
    few rows across the device, and the long wires to them have no logic on the way.

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """

    min_latency = 4
    family = "ecp5"

    def multiply(self, m, family):
        return [mult18x18d(m, f"multiplier_{lane}", x=x, w=w)
                for lane, (x, w) in enumerate(zip(*self.operands(m), strict=True))], 4
