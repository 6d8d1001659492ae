"""Loops over addresses, as descriptors have them."""

from rtl.accelerator.params import COUNT_BITS

__all__ = ["MOST", "loops", "pixels_fetch", "pixels_store", "store_loops"]

#: Iterations of a loop at the most.
MOST = 1 << COUNT_BITS


def loops(*pairs, base):
    """Nested loops over addresses: (iterations, step) of each, the innermost first."""
    return {"base": base, "loops": [{"count": 1 - count, "step": step if count > 1 else 0}
                                    for count, step in pairs]}


def pixels_fetch(place):
    """Words of a picture, line by line."""
    return loops((place.pixel_words, 1), (place.width, place.pixel_step),
                 (place.height, place.line_step), base=place.base)


def store_loops(core, *pairs, base, lane_step=None):
    """Loops of a store; with ``lane_step`` the pixel lanes take turns within all of them."""
    if core.pixel_lanes > 1:
        pairs = ((1, 0) if lane_step is None else (core.pixel_lanes, lane_step), *pairs)
    return loops(*pairs, base=base)


def pixels_store(core, place, words):
    """A store of beats that come pixel by pixel, ``words`` words of each; all channels beyond
    those of ``place`` are dropped.

    The first two loops are idle: a store counts channels where they end.
    """
    beats = words * place.word_bytes // core.lanes
    walk = store_loops(core, (1, 0), (1, 0), (beats, core.lanes), (place.width, place.pixel_bytes),
                       (place.height, place.line_bytes), base=place.byte)
    return {"walk": walk, "limit": place.channels, "lane_step": int(place.offset % core.lanes > 0)}
