"""Two products in one ECP5 multiplier."""

from rtl.mac.product import Product

__all__ = ["Dsp2Product"]


class Dsp2Product(Product):
    min_latency = 4
    min_lanes = 2
    shares_x = True
    family = "ecp5"
