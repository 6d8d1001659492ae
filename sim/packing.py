"""NumPy arrays to and from the packed bits of an Amaranth payload, without a loop over payloads."""

import numpy as np
from amaranth.hdl import Shape, ShapeCastable
from amaranth.lib import data

__all__ = ["pack", "unpack"]


def _layout(shape):
    if isinstance(shape, data.Layout):
        return shape
    if isinstance(shape, type) and issubclass(shape, data.Struct):
        return data.Layout.cast(shape)
    return None


def _element(values, index):
    if isinstance(values, dict):
        return {name: _element(part, index) for name, part in values.items()}
    return np.asarray(values)[:, index]


def _bits(shape, values):
    """Bits (count, width) of ``values``, low bit first."""
    layout = _layout(shape)
    if isinstance(layout, data.ArrayLayout):
        return np.concatenate([_bits(layout.elem_shape, _element(values, index))
                               for index in range(layout.length)], axis=1)
    if layout is not None:
        unknown = set(values) - {name for name, _ in layout}
        if unknown:
            raise KeyError(f"the payload has no field {', '.join(sorted(unknown))}")
        fields = [(field, _bits(field.shape, values[name])) for name, field in layout]
        out = np.zeros((len(fields[0][1]), Shape.cast(layout).width), np.uint8)
        for field, bits in fields:
            out[:, field.offset:field.offset + field.width] = bits
        return out
    if isinstance(shape, ShapeCastable):
        shape = Shape.cast(shape)
    width = Shape.cast(shape).width
    values = np.asarray(values).astype(np.int64)
    return ((values[:, None] >> np.arange(width)) & 1).astype(np.uint8)


def pack(shape, values):
    """Rows (count, bytes) of little-endian bits.

    ``values`` is an array (count,) for a plain shape, (count, length) for an array, and a dict of
    such for a structure or an array of structures. A single field has at most 63 bits.
    """
    return np.packbits(_bits(shape, values), axis=1, bitorder="little")


def _stack(elements):
    if isinstance(elements[0], dict):
        return {name: _stack([element[name] for element in elements]) for name in elements[0]}
    return np.stack(elements, axis=1)


def _values(shape, bits):
    layout = _layout(shape)
    if isinstance(layout, data.ArrayLayout):
        step = Shape.cast(layout.elem_shape).width
        return _stack([_values(layout.elem_shape, bits[:, index * step:(index + 1) * step])
                       for index in range(layout.length)])
    if layout is not None:
        return {name: _values(field.shape, bits[:, field.offset:field.offset + field.width])
                for name, field in layout}
    shape = Shape.cast(shape)
    value = (bits.astype(np.int64) << np.arange(shape.width)).sum(axis=1)
    if shape.signed and shape.width < 64:
        value -= (value >> (shape.width - 1)) << shape.width
    return value


def unpack(shape, raw):
    """The inverse of :func:`pack`; integers come as int64."""
    return _values(shape, np.unpackbits(raw, axis=1, bitorder="little"))
