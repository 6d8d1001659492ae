"""Where tensors lie in the activation memory."""

from dataclasses import dataclass, replace
from typing import Self

from systolith.graph.attributes import Pair

__all__ = ["Region"]


@dataclass(frozen=True, kw_only=True)
class Region:
    """An image in memory: lines of pixels, each of which begins with a word of its own.

    Channels that fill up the last word of a pixel hold anything. An image may be a part of
    another one: of its channels, from byte ``offset`` of a word on, or of its lines and pixels.

    Attributes
    ----------
    base : :class:`int`
        Address of the word where it begins, once that is known.
    pixel_step, line_step, words : :class:`int`
        Words from one pixel, line, or image, to the next; 0 stands for no gap.
    """

    height: int
    width: int
    channels: int
    word_bytes: int
    base: int = 0
    offset: int = 0
    pixel_step: int = 0
    line_step: int = 0
    words: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixel_step", self.pixel_step or self.pixel_words)
        object.__setattr__(self, "line_step", self.line_step or self.width * self.pixel_step)
        object.__setattr__(self, "words", self.words or self.height * self.line_step)

    @property
    def pixel_words(self) -> int:
        """Words that hold channels of a pixel."""
        return -(-(self.offset + self.channels) // self.word_bytes)

    @property
    def filled(self) -> int:
        """Channels with those that fill up the last word."""
        return self.pixel_words * self.word_bytes

    @property
    def whole(self) -> bool:
        """Whether the pixels follow each other without a gap."""
        return (self.pixel_step, self.line_step) == (self.pixel_words,
                                                     self.width * self.pixel_words)

    @property
    def even(self) -> bool:
        """Whether pixels lie at equal steps, from line to line too."""
        return self.height == 1 or self.line_step == self.width * self.pixel_step

    @property
    def can_batch(self) -> bool:
        """Whether images that follow each other are one tall image."""
        return self.height == 1 or self.words == self.height * self.line_step

    def alike(self, other: Self) -> bool:
        """Whether each pixel takes the words that the same pixel of ``other`` would take there."""
        return replace(self, channels=1) == replace(other, channels=1) and (
            self.pixel_words == other.pixel_words)

    @property
    def byte(self) -> int:
        """Address, in bytes, of the first channel."""
        return self.base * self.word_bytes + self.offset

    @property
    def pixel_bytes(self) -> int:
        return self.pixel_step * self.word_bytes

    @property
    def line_bytes(self) -> int:
        return self.line_step * self.word_bytes

    def at(self, base: int) -> Self:
        """The same ``base`` words further on."""
        return replace(self, base=self.base + base)

    def batched(self, images: int) -> Self:
        """As many images, which follow each other, as one, if they ``can_batch``."""
        return replace(self, height=self.height * images, words=self.words * images,
                       line_step=self.words if self.height == 1 else self.line_step)

    def part(self, top: int, left: int, height: int, width: int, stride: Pair = (1, 1)) -> Self:
        """Every ``stride``-th line and pixel from (``top``, ``left``) on."""
        return replace(self, base=self.base + top * self.line_step + left * self.pixel_step,
                       height=height, width=width, line_step=stride[0] * self.line_step,
                       pixel_step=stride[1] * self.pixel_step)

    def pieces(self, most: int) -> list[Self]:
        """The same words, in their order, as images of ``most`` lines, pixels and channels at the
        most; the image itself if it has no more, or if there are gaps between its words."""
        if max(self.height, self.width, self.channels) <= most or self.offset or not self.whole:
            return [self]
        words = self.height * self.width * self.pixel_words
        lines, rest = divmod(words, most)
        return [replace(self, base=self.base + first, height=height, width=width, pixel_step=1,
                        line_step=width, channels=self.word_bytes)
                for first, height, width in ((0, lines, most), (lines * most, 1, rest))
                if height and width]

    def transposed(self) -> Self:
        """The same pixels with height and width exchanged."""
        return replace(self, height=self.width, width=self.height, line_step=self.pixel_step,
                       pixel_step=self.line_step)

    def slice(self, first: int, channels: int) -> Self:
        """Some of the channels, from ``first`` on."""
        words, offset = divmod(self.offset + first, self.word_bytes)
        return replace(self, base=self.base + words, offset=offset, channels=channels)
