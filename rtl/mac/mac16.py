"""Two products in one iCE40 multiplier."""

from amaranth import *

from rtl.mac.product import Product

__all__ = ["Mac16Product"]


class Mac16Product(Product):
    """Two 8x8 products in one ``SB_MAC16``; its ``A`` register holds the weights in use.

    The products come from the registers behind the multipliers. With a latency of 3 or more they
    pass the adders, which add nothing, and the registers behind those.

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """

    min_latency = 2
    has_sum = True
    family = "ice40"

    def multiply(self, m, family):
        summed = self.latency > 2
        products = Signal(32)
        halves = "BOT", "TOP"
        # Ref: FPGA-TN-02007, DSP Function Usage Guide for iCE40 Devices
        choices = {
            "OUTPUT_SELECT": Const(1 if summed else 2, 2),  # register behind the adder, or product
            "ADDSUB_UPPERINPUT": 1,  # C and D, which are zero
            "ADDSUB_LOWERINPUT": Const(1, 2),  # the product
            "_8x8_MULT_REG": 1,
        }
        m.submodules.multiplier = Instance(
            "SB_MAC16",
            *(("p", f"{half}{name}", value) for half in halves for name, value in choices.items()),
            *(("i", f"{name}{half}", 0) for half in halves
              for name in ("IRST", "ORST", "OLOAD", "OHOLD", "ADDSUB")),
            p_MODE_8x8=1, p_A_SIGNED=1, p_B_SIGNED=1, p_A_REG=1, p_B_REG=1,
            i_CLK=ClockSignal(), i_CE=1,
            i_A=self.w.as_value(), i_AHOLD=~self.swap, i_B=self.x.as_value(), i_BHOLD=0,
            i_C=Const(0, 16), i_CHOLD=0, i_D=Const(0, 16), i_DHOLD=0, i_CI=0, i_ACCUMCI=0,
            i_SIGNEXTIN=0,
            o_O=products)
        return [products[:16], products[16:]][:self.cols], 2 + summed
