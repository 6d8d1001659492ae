"""NumPy arrays to and from the packed bits of an Amaranth payload, without a loop over payloads."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape, ShapeCastable
from amaranth.lib import data

from rtl.export.layout import layout_of

__all__ = ["Payloads", "ShapeLike", "pack", "unpack"]

#: What Amaranth casts to a shape. Its own ``ShapeLike`` serves ``isinstance``, not annotations.
ShapeLike: TypeAlias = Shape | ShapeCastable | type | int | range
#: As :func:`pack` takes them.
Payloads: TypeAlias = "npt.ArrayLike | Mapping[str, Payloads]"

_Bits = npt.NDArray[np.uint8]


def _element(path: str, values: Payloads, index: int, length: int) -> Payloads:
    if isinstance(values, dict):
        return {name: _element(path, part, index, length) for name, part in values.items()}
    values = np.asarray(values)
    if values.shape[1:2] != (length,):
        raise ValueError(f"{path} must be of shape (count, {length}, ...), not {values.shape}")
    return values[:, index]


def _bits(path: str, shape: ShapeLike, values: Payloads) -> _Bits:
    """Bits (count, width) of ``values``, low bit first."""
    layout = layout_of(shape)
    if isinstance(layout, data.ArrayLayout):
        return np.concatenate([
            _bits(f"{path}[{index}]", layout.elem_shape,
                  _element(path, values, index, layout.length))
            for index in range(layout.length)], axis=1)
    if layout is not None:
        names = [name for name, _ in layout]
        if not isinstance(values, dict) or set(values) != set(names):
            given = ", ".join(values) if isinstance(values, dict) else repr(values)
            raise ValueError(f"{path} must have the fields {', '.join(names)}, not {given}")
        fields = [(field, _bits(f"{path}.{name}", field.shape, values[name]))
                  for name, field in layout]
        out = np.zeros((len(fields[0][1]), Shape.cast(layout).width), np.uint8)
        for field, bits in fields:
            out[:, field.offset:field.offset + field.width] = bits
        return out
    shape = Shape.cast(shape)
    values = np.asarray(values).astype(np.int64)
    low = -(1 << shape.width - 1) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    if values.size and not low <= values.min() <= values.max() <= high:
        raise ValueError(f"{path} must be between {low} and {high}, not from {values.min()} to "
                         f"{values.max()}")
    return ((values[:, None] >> np.arange(shape.width)) & 1).astype(np.uint8)


def pack(shape: ShapeLike, values: Payloads) -> _Bits:
    """Rows (count, bytes) of little-endian bits.

    ``values`` is an array (count,) for a plain shape, (count, length) for an array, and a dict of
    such for a structure or an array of structures. A single field has at most 63 bits.

    Raises :exc:`ValueError`, with the path of the field, for what the payload cannot hold.
    """
    return np.packbits(_bits("payload", shape, values), axis=1, bitorder="little")


def _stack(elements: Sequence[Any]) -> Any:
    if isinstance(elements[0], dict):
        return {name: _stack([element[name] for element in elements]) for name in elements[0]}
    return np.stack(elements, axis=1)


def _values(shape: ShapeLike, bits: _Bits) -> Any:
    layout = layout_of(shape)
    if isinstance(layout, data.ArrayLayout):
        step = Shape.cast(layout.elem_shape).width
        return _stack([_values(layout.elem_shape, bits[:, index * step:(index + 1) * step])
                       for index in range(layout.length)])
    if layout is not None:
        return {name: _values(field.shape, bits[:, field.offset:field.offset + field.width])
                for name, field in layout}
    shape = Shape.cast(shape)
    value = (bits[:, :shape.width].astype(np.int64) << np.arange(shape.width)).sum(axis=1)
    if shape.signed and shape.width < 64:
        value -= (value >> (shape.width - 1)) << shape.width
    return value


def unpack(shape: ShapeLike, raw: _Bits) -> Any:
    """The inverse of :func:`pack`; integers come as int64."""
    return _values(shape, np.unpackbits(raw, axis=1, bitorder="little"))
