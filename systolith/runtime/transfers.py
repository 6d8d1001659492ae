"""Where things lie behind the windows of an accelerator, and how they get there and back."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from rtl.accelerator import AcceleratorParams
from rtl.accelerator.control.host_port import chunks_of
from rtl.accelerator.memories import memories_of
from rtl.accelerator.registers import OFFSET_BITS, Window
from sim.golden.types import Int8
from systolith.compiler.layout.region import Region

__all__ = ["Addresses", "Pending", "Words", "Write", "address_of", "addresses_of", "tensor_of",
           "write_of"]

T = TypeVar("T")

#: What was asked for and may still be on its way: the call waits for it, if need be.
Pending = Callable[[], T]

Addresses = npt.NDArray[np.integer]
Words = npt.NDArray[np.uint32]


class Write(NamedTuple):
    """Words of 32 bits for ascending addresses."""

    address: int
    words: Words


@overload
def address_of(window: Window, offset: int = 0) -> int: ...
@overload
def address_of(window: Window, offset: Addresses) -> Addresses: ...
def address_of(window: Window, offset: int | Addresses = 0) -> int | Addresses:
    """Of the word, or words, at an ``offset`` behind a window."""
    return (window << OFFSET_BITS) + offset


def write_of(params: AcceleratorParams, window: Window, rows: np.ndarray, base: int = 0) -> Write:
    """Rows of bytes, or of words, from word ``base`` of a memory on."""
    raw = np.ascontiguousarray(rows)
    raw = raw.view(np.uint8).reshape(len(rows), -1)
    width, _ = memories_of(params)[window]
    chunks = chunks_of(width)
    room = 4 * chunks * -(-raw.shape[1] // -(-width // 8))  # a row is a word or several
    raw = np.pad(raw, ((0, 0), (0, room - raw.shape[1])))
    return Write(address_of(window, base * chunks), raw.view("<u4").reshape(-1))


def addresses_of(place: Region) -> Addresses:
    """Addresses of the words of a tensor."""
    chunks = chunks_of(8 * place.word_bytes)
    y, x, word = np.ogrid[:place.height, :place.width, :place.pixel_words]
    words = place.base + y * place.line_step + x * place.pixel_step + word
    return address_of(Window.ACTIVATIONS, (words[..., None] * chunks + np.arange(chunks)).ravel())


def tensor_of(place: Region, shape: tuple[int, ...], words: Words) -> Int8:
    """What ``words`` at a place are: images of a shape."""
    raw = np.asarray(words).astype("<u4").reshape(-1, chunks_of(8 * place.word_bytes))
    data = raw.view(np.int8)[:, :place.word_bytes].reshape(-1, place.width, place.filled)
    return data[..., place.offset:place.offset + place.channels].reshape(-1, *shape)
