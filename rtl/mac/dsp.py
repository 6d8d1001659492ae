"""One ECP5 multiplier per product."""

from rtl.mac.product import Product

__all__ = ["DspProduct"]


class DspProduct(Product):
    min_latency = 2
    family = "ecp5"
