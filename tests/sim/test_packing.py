import re

import numpy as np
import pytest
from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.layouts import ChannelParams
from sim.packing import pack, unpack

COUNT = 5

plain = st.builds(lambda shape, width: shape(width), st.sampled_from([signed, unsigned]),
                  st.integers(1, 63))
shapes = st.recursive(plain, lambda inner: st.one_of(
    st.builds(data.ArrayLayout, inner, st.integers(1, 4)),
    st.builds(data.StructLayout, st.dictionaries(st.sampled_from("abcd"), inner, min_size=1,
                                                 max_size=3))), max_leaves=6)


def some(draw, shape):
    """One value of ``shape``, as :meth:`Layout.const` takes it."""
    if isinstance(shape, data.ArrayLayout):
        return [some(draw, shape.elem_shape) for _ in range(shape.length)]
    if isinstance(shape, data.StructLayout):
        return {name: some(draw, field.shape) for name, field in shape}
    low = -(1 << shape.width - 1) if shape.signed else 0
    return draw(st.sampled_from([low, low + (1 << shape.width) - 1])
                | st.integers(low, low + (1 << shape.width) - 1))


def columns(shape, values):
    """``values``, one after the other, in the form of :func:`pack`."""
    if isinstance(shape, data.StructLayout):
        return {name: columns(field.shape, [value[name] for value in values])
                for name, field in shape}
    if isinstance(shape, data.ArrayLayout):
        parts = [columns(shape.elem_shape, [value[index] for value in values])
                 for index in range(shape.length)]
        return stack(parts)
    return np.array(values)


def stack(parts):
    if isinstance(parts[0], dict):
        return {name: stack([part[name] for part in parts]) for name in parts[0]}
    return np.stack(parts, axis=1)


def equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    return np.array_equal(a, b)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_as_amaranth_packs(draw):
    shape = draw.draw(shapes)
    values = [some(draw.draw, shape) for _ in range(COUNT)]
    width = Shape.cast(shape).width
    packed = pack(shape, columns(shape, values))
    assert packed.shape == (COUNT, -(-width // 8))
    if isinstance(shape, data.Layout):
        constants = [shape.const(value).as_value().value for value in values]
    else:
        constants = [value & (1 << width) - 1 for value in values]
    assert [int.from_bytes(row.tobytes(), "little") for row in packed] == constants
    assert equal(unpack(shape, packed), columns(shape, values))


@pytest.mark.parametrize("shape, values, message", [
    (8, np.array([256]), "payload must be between 0 and 255, not from 256 to 256"),
    (signed(8), np.array([0, -129]), "payload must be between -128 and 127, not from -129 to 0"),
    (data.ArrayLayout(4, 2), np.array([[1, 2], [3, 16]]),
     "payload[1] must be between 0 and 15, not from 2 to 16"),
    (data.ArrayLayout(4, 2), np.array([[1, 2, 3]]),
     "payload must be of shape (count, 2, ...), not (1, 3)"),
    (data.ArrayLayout(4, 2), np.array([1, 2]),
     "payload must be of shape (count, 2, ...), not (2,)"),
    (data.StructLayout({"a": 1, "b": 1}), {"a": np.array([0]), "c": np.array([0])},
     "payload must have the fields a, b, not a, c"),
    (data.StructLayout({"a": 1, "b": 1}), 3, "payload must have the fields a, b, not 3"),
    (data.ArrayLayout(ChannelParams, 1),
     {"bias": np.array([[0]]), "multiplier": np.array([[0]]), "shift": np.array([[32]])},
     "payload[0].shift must be between 0 and 31, not from 32 to 32"),
])
def test_refuses_what_does_not_fit(shape, values, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        pack(shape, values)
