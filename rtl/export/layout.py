"""Layouts of payloads, however they are declared."""

from amaranth.lib import data

__all__ = ["layout_of"]


def layout_of(shape):
    """``shape`` as a layout, whether it is one or a structure; None for a plain shape."""
    if isinstance(shape, data.Layout):
        return shape
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        return data.Layout.cast(shape)
    return None
