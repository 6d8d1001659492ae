"""Frames as the host makes them and takes them apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from systolith.runtime.link.frames import Unframer, encode, frame


def decode(data):
    """COBS by the book: a code, so many bytes less one, a zero, but for the last."""
    out = []
    while data:
        code, data = data[0], data[1:]
        out += [*data[:code - 1], 0]
        data = data[code - 1:]
    return bytes(out[:-1])


@given(st.lists(st.one_of(st.just(0), st.integers(0, 255)), max_size=253).map(bytes))
def test_cobs_has_no_zero_and_one_byte_more(data):
    encoded = encode(data)
    assert 0 not in encoded and len(encoded) == len(data) + 1
    assert decode(encoded) == data


def test_cobs_refuses_what_is_too_long():
    with pytest.raises(ValueError, match=r"^a frame has at most 253 bytes, not 254$"):
        encode(b"x" * 254)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.data())
def test_unframer_takes_bytes_in_any_portions(bodies, data):
    raw, unframer, got = b"".join(map(frame, bodies)), Unframer(), []
    while raw:
        count = data.draw(st.integers(1, len(raw)))
        got += unframer.feed(raw[:count])
        raw = raw[count:]
    assert got == bodies and unframer.bad == 0


@given(st.binary(min_size=1, max_size=40), st.integers(0), st.integers(1, 255))
def test_unframer_drops_what_is_not_intact(body, place, flip):
    raw = bytearray(frame(body))
    raw[place % len(raw)] ^= flip
    assert body not in Unframer().feed(bytes(raw) + b"\0")
    raw = bytearray(frame(body))
    del raw[place % (len(raw) - 1)]
    assert Unframer().feed(bytes(raw)) == []


def test_unframer_forgets_endless_noise():
    unframer = Unframer()
    for _ in range(1000):
        assert unframer.feed(b"\1" * 100) == []
    assert len(unframer._rest) < 300
    assert unframer.feed(b"\0" + frame(b"abc")) == [b"abc"]
