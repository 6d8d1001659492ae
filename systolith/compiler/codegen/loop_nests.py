"""Loops over addresses, as descriptors have them."""

from collections.abc import Iterable, Mapping
from typing import Any

from rtl.accelerator import AcceleratorParams
from rtl.accelerator.dma.shared_address_generator import loop_nests
from rtl.accelerator.params import COUNT_BITS
from rtl.im2col.params import Im2colParams
from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.region import Region

__all__ = ["MOST", "Fields", "loops", "pixels_fetch", "pixels_store", "shared_loop_nests",
           "store_loops"]

#: Of a descriptor, or a part of one, by name, as :func:`sim.packing.pack` takes them once those
#: that are left out are added: numbers, fields, and lists of either.
Fields = dict[str, Any]

#: Iterations of a loop, and its step.
Loop = tuple[int, int]

#: Iterations of a loop at the most.
MOST = 1 << COUNT_BITS


def loops(*pairs: Loop, base: int) -> Fields:
    """Nested loops over addresses: (iterations, step) of each, the innermost first."""
    return {"base": base, "loops": [{"count": 1 - count, "step": step if count > 1 else 0}
                                    for count, step in pairs]}


def pixels_fetch(region: Region) -> Fields:
    """Words of an image, line by line."""
    pixel = [(region.pixel_words, 1)]
    if region.pixel_words > MOST:  # more than a loop counts: two, if there are divisors
        words = max(count for count in range(1, MOST + 1) if region.pixel_words % count == 0)
        pixel = [(words, 1), (region.pixel_words // words, words)]
    return loops(*pixel, (region.width, region.pixel_step), (region.height, region.line_step),
                 base=region.base)


def store_loops(machine: Machine, *pairs: Loop, base: int, lane_step: int | None = None) -> Fields:
    """Loops of a store; with ``lane_step`` the pixel lanes take turns within all of them."""
    if machine.pixel_lanes > 1:
        pairs = ((1, 0) if lane_step is None else (machine.pixel_lanes, lane_step), *pairs)
    return loops(*pairs, base=base)


def pixels_store(machine: Machine, region: Region, words: int) -> Fields:
    """A store of beats that come pixel by pixel, ``words`` words of each; all channels beyond
    those of ``region`` are dropped.

    The first two loops are idle: a store counts channels where they end.
    """
    beats = words * region.word_bytes // machine.drain_lanes
    walk = store_loops(machine, (1, 0), (1, 0), (beats, machine.drain_lanes),
                       (region.width, region.pixel_bytes),
                       (region.height, region.line_bytes), base=region.byte)
    return {"walk": walk, "limit": region.channels,
            "lane_step": int(region.offset % machine.drain_lanes > 0)}


def shared_loop_nests(params: AcceleratorParams, fields: Fields) -> Fields:
    """``fields`` of a descriptor as a ``shared_agu`` build has them."""
    fields, nothing = dict(fields), loops(base=0)  # tables are not stored
    walks = {"tiles": nothing, "fetch": fields.pop("fetch", nothing),
             "store": fields.get("store", {"walk": nothing})["walk"],
             **{name: _sequence(fields.pop(name), factors)
                for name, factors in (("weights", 2), ("params", 1))}}
    words: dict[str, list[Fields]] = {}
    several: dict[str, int] = {}
    lines: list[Fields] = []
    if conv := fields.get("conv"):
        walks["tiles"], lines, last = _tiles(conv, params.im2col)
        fields["conv"] = conv | {"last_band": last}
    for name, walk in loop_nests(params).items():
        base, pairs = walks[name]["base"], walks[name]["loops"][:walk.dims]
        pairs += [{"count": 0, "step": 0}] * (walk.dims - len(pairs))
        words[name] = [{"step": base, "used": walks[name].get("used", 1)}, *_jumps(pairs)]
        several[name] = sum((pair["count"] < 0) << index for index, pair in enumerate(pairs))
        if walk.tail:
            pairs[walk.tail[0]] = pairs[walk.tail[0]] | {"count": walks[name].get("tail", 0)}
            words[name] += _jumps(pairs)[slice(*walk.tail)]
            several["tail"] = int(pairs[walk.tail[0]]["count"] < 0)
    words["lines"] = lines
    return {**fields, "walks": words, "several": several}


def _tiles(conv: Mapping[str, int],
           params: Im2colParams) -> tuple[Fields, list[Fields], int]:
    """Tiles as loops over positions; what their second words say; lines of the last band."""
    band, left = conv["band"] + 1, conv["y_count"] + 1
    bands = -(-left // band)
    counts = [*(conv[name] + 1 for name in ("chunks", "kw_count", "kh_count", "tiles", "groups")),
              bands]
    # How far each loop steps from where it began: bytes, lines, words of the line buffer.
    steps = ((conv["chunk_step"] if conv.get("fir") else params.rows, 0, 0),
             (conv["kw_step"], 0, 0), (0, conv["kh_step"], conv["kh_step_words"]), (0, 0, 0),
             (conv["group_step"], 0, 0), (0, conv["band_step"], conv["band_step_words"]))
    position, line, base = (loops(*((count, step[axis]) for count, step in zip(
        counts, steps, strict=True)), base=conv[origin])
        for axis, origin in enumerate(("x_origin", "y_origin", "y_origin_words")))
    line, base = ([each["base"], *(jump["step"] for jump in _jumps(each["loops"]))]
                  for each in (line, base))
    return position, [{"line": step, "base": more % params.words} for step, more in zip(
        line, base, strict=True)], left - (bands - 1) * band - 1


def _jumps(pairs: Iterable[Mapping[str, int]]) -> list[Fields]:
    """Loops by the distance from the last address of all within to the next one."""
    jumps, back = [], 0
    for pair in pairs:
        jumps.append({"count": pair["count"], "step": pair["step"] - back})
        back += -pair["count"] * pair["step"]
    return jumps


def _sequence(sequence: Mapping[str, int], factors: int) -> Fields:
    """Words that follow each other, several times, as loops: ``factors`` for the words."""
    count, pairs, step = sequence["count"] + 1, [], 1
    for left in reversed(range(factors)):
        part = count if left == 0 else max(n for n in range(1, MOST + 1) if count % n == 0)
        pairs.append((part, step))
        count, step = count // part, step * part
    walk = loops(*pairs, (sequence["repeats"] + 1, 0), base=sequence["base"])
    return {**walk, "used": sequence["used"]}
