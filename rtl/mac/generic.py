"""Products left to the synthesis tool."""

from rtl.mac.product import Product

__all__ = ["GenericProduct"]


class GenericProduct(Product):
    """A plain product, for any tool and device.

    See :class:`~rtl.mac.product.Product` for parameters, members and timing.
    """
