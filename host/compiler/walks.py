"""Loops over addresses, as descriptors have them."""

from rtl.accelerator.params import COUNT_BITS

__all__ = ["MOST", "loops", "pixels_fetch", "pixels_store"]

#: Iterations of a loop at the most.
MOST = 1 << COUNT_BITS


def loops(*pairs, base):
    """Nested loops over addresses: (iterations, step) of each, the innermost first."""
    return {"base": base, "loops": [{"count": count - 1, "step": step if count > 1 else 0}
                                    for count, step in pairs]}


def pixels_fetch(place):
    """Words of a picture, line by line."""
    return loops((place.pixel_words, 1), (place.width, place.pixel_step),
                 (place.height, place.line_step), base=place.base)


def pixels_store(place, lanes, words):
    """A store of beats that come pixel by pixel, ``words`` words of each; all channels beyond
    those of ``place`` are dropped.

    The first two loops are idle: a store counts channels where they end.
    """
    beats = words * place.word_bytes // lanes
    walk = loops((1, 0), (1, 0), (beats, lanes), (place.width, place.pixel_bytes),
                 (place.height, place.line_bytes), base=place.byte)
    return {"walk": walk, "limit": place.channels, "lane_step": int(place.offset % lanes > 0)}
