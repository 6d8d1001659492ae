"""Products left to the synthesis tool."""

from rtl.mac.product import Product

__all__ = ["GenericProduct"]


class GenericProduct(Product):
    """A plain product, for tools and devices this project knows nothing about.

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """
