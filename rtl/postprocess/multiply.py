from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.family import family_of
from rtl.layouts import MULTIPLIER_WIDTH
from rtl.mac.dsp import mult18x18d
from rtl.stream.pipeline import pipeline
from rtl.validate import one_of

__all__ = ["Multiply"]

HALF = 17  # bits of the lower halves: unsigned, in 18 signed bits


class Multiply(wiring.Component):
    """``(x * multiplier + addend * 2^30) >> drop``.

    Four products of 18 by 18 bits, DSPs on ECP5. The result comes ``latency`` enabled cycles after
    the operands; throughput is one result a cycle.

    Parameters
    ----------
    drop : :class:`int`
        31, or 0 for the whole product.

    Members
    -------
    enable : ``In(1)``
        Advances all registers.
    x, multiplier : ``In(signed(32))``, ``In(MULTIPLIER_WIDTH)``
    addend : ``In(signed(2))``
    product : ``Out(signed(32 + MULTIPLIER_WIDTH - drop))``
    """

    latency = 5

    def __init__(self, *, drop=31):
        self.drop = one_of("drop", drop, (0, 31))
        super().__init__({
            "enable": In(1),
            "x": In(signed(32)),
            "multiplier": In(MULTIPLIER_WIDTH),
            "addend": In(signed(2)),
            "product": Out(signed(32 + MULTIPLIER_WIDTH - self.drop)),
        })

    def elaborate(self, platform):
        m = Module()
        enable = self.enable
        xs = {"low": self.x[:HALF], "high": self.x[HALF:].as_signed()}
        ms = {"low": self.multiplier[:HALF], "high": self.multiplier[HALF:]}
        products = {}
        for (a, left), (b, right) in ((p, q) for p in xs.items() for q in ms.items()):
            if family_of(platform) == "ecp5":
                product = mult18x18d(m, f"{a}_{b}", x=left, w=right, swap=enable, enable=enable)
            else:
                left, right = (pipeline(m, enable, value, f"{a}_{b}_{name}")
                               for name, value in (("x", left), ("m", right)))
                product = pipeline(m, enable, left * right, f"{a}_{b}", 2)
            products[a, b] = product.as_signed() if a == "high" else product[:2 * HALF]

        # The middle products overlap with both others, which lie end to end.
        middle = pipeline(m, enable, products["low", "high"] + products["high", "low"], "middle")
        low, high = products["low", "low"], products["high", "high"]
        ends = Cat(low[30:], high).as_signed()
        addend = pipeline(m, enable, self.addend, "addend", 3)
        ends = Cat(pipeline(m, enable, low[HALF:30], "ends_low"),
                   pipeline(m, enable, (ends + addend)[:len(ends)], "ends_high")).as_signed()
        total = (ends + middle)[:len(self.product) + self.drop - HALF]   # in units of 2^17
        if self.drop:
            product = pipeline(m, enable, total[self.drop - HALF:], "total")
        else:
            product = Cat(pipeline(m, enable, low[:HALF], "bottom", 2),
                          pipeline(m, enable, total, "total"))
        m.d.comb += self.product.eq(product.as_signed())
        return m
