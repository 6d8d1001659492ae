"""Products in look-up tables and carry chains, for any family."""

from rtl.mac.product import Product

__all__ = ["LutProduct"]


class LutProduct(Product):
    min_latency = 4
    max_lanes = 2
