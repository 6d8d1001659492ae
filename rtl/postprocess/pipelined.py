from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.family import family_of
from rtl.layouts import MULTIPLIER_WIDTH
from rtl.mac.dsp import mult18x18d
from rtl.postprocess.rounding import SCALED_WIDTH

__all__ = ["PipelinedScale"]

HALF = 17  # bits of the lower halves: unsigned, in 18 signed bits


class PipelinedScale(wiring.Component):
    """``((acc + bias) * multiplier +- 2^30) >> 31``: one result each cycle.

    Four products of 18 by 18 bits, DSPs on ECP5, with a latency of ``latency`` enabled cycles.

    Members
    -------
    enable : ``In(1)``
        Advances all registers.
    acc, bias, multiplier : ``In``
    shifted : ``In(1)``
        A shift follows, so that ``-2^30`` is to be added where ``acc + bias`` is negative.
    scaled : ``Out(signed(SCALED_WIDTH))``
    """

    latency = 6

    enable: In(1)
    acc: In(signed(32))
    bias: In(signed(32))
    multiplier: In(MULTIPLIER_WIDTH)
    shifted: In(1)
    scaled: Out(signed(SCALED_WIDTH))

    def elaborate(self, platform):
        m = Module()
        enable = self.enable

        def register(value, name):
            late = Signal(value.shape(), name=name, reset_less=True)
            with m.If(enable):
                m.d.sync += late.eq(value)
            return late

        x = register((self.acc + self.bias)[:32].as_signed(), "x")
        multiplier = register(self.multiplier, "multiplier_1")
        shifted = register(self.shifted, "shifted_1")
        down = shifted & x[-1]
        for stage in range(3):
            down = register(down, f"down_{stage}")

        xs = {"low": x[:HALF], "high": x[HALF:].as_signed()}
        ms = {"low": multiplier[:HALF], "high": multiplier[HALF:]}
        products = {}
        for (a, left), (b, right) in ((p, q) for p in xs.items() for q in ms.items()):
            if family_of(platform) == "ecp5":
                product = mult18x18d(m, f"{a}_{b}", x=left, w=right, swap=enable, pipelined=True,
                                     enable=enable)
            else:
                left, right = (register(value, f"{a}_{b}_{name}")
                               for name, value in (("x", left), ("m", right)))
                product = Cat(register(register(left * right, f"{a}_{b}_early"), f"{a}_{b}"))
                product = product.as_signed() if a == "high" else product
            products[a, b] = product

        # The middle products overlap both the others, which lie end to end.
        middle = register(products["low", "high"] + products["high", "low"], "middle")
        low = products["low", "low"][:2 * HALF]
        ends = Cat(low, products["high", "high"]).as_signed()
        # +- 2^30 is +- 1 at bit 30.
        ends_high = register((ends >> 30) + Mux(down, -1, 1), "ends_high")
        ends_low = register(low[HALF:30], "ends_low")
        total = Cat(ends_low, ends_high).as_signed() + middle   # in units of 2^17
        m.d.comb += self.scaled.eq(register(total >> (31 - HALF), "total"))
        return m
