"""Where tensors lie in the activation memory, and when."""

from dataclasses import dataclass, replace

__all__ = ["Place", "allocate"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tensor in memory: lines of pixels, each of ``pixel_words`` words, without a gap.

    Channels that fill up the last word of a pixel hold anything. ``base`` is the address of the
    first word, once it is known.
    """

    height: int
    width: int
    channels: int
    word_bytes: int
    base: int = 0

    @property
    def pixel_words(self):
        return -(-self.channels // self.word_bytes)

    @property
    def line_words(self):
        return self.width * self.pixel_words

    @property
    def words(self):
        return self.height * self.line_words

    @property
    def filled(self):
        """Channels with those that fill up the last word."""
        return self.pixel_words * self.word_bytes

    def at(self, base):
        return replace(self, base=base)


def allocate(sizes, lifetimes):
    """Base addresses of tensors: each as low as those that live with it allow, the largest first.

    ``sizes`` in words and ``lifetimes`` (first and last step, both included) by tensor. Returns
    the addresses, and how many words they ask for.
    """
    bases = {}
    for tensor in sorted(sizes, key=lambda each: (-sizes[each], lifetimes[each])):
        begin, end = lifetimes[tensor]
        taken = sorted((bases[other], bases[other] + sizes[other]) for other in bases
                       if lifetimes[other][0] <= end and begin <= lifetimes[other][1])
        base = 0
        for low, high in taken:
            if base + sizes[tensor] <= low:
                break
            base = max(base, high)
        bases[tensor] = base
    return bases, max((bases[tensor] + sizes[tensor] for tensor in bases), default=0)
