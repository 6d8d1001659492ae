"""Two products in one iCE40 multiplier."""

from rtl.mac.product import Product

__all__ = ["Mac16Product"]


class Mac16Product(Product):
    min_latency = 2
    family = "ice40"
