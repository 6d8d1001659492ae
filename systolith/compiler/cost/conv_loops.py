"""Bands, passes and tiles of a convolution, as its configuration asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

__all__ = ["Band", "ConvLoops"]


@dataclass(frozen=True, kw_only=True)
class Band:
    """Some output lines of each pixel lane, which pass after pass computes.

    ``vectors`` are those of a tile; ``pixels`` those of all lanes whose sums are kept. ``tops`` are
    the input lines at the top of the kernel, by line of output; lines before ``keep_from`` are not
    needed after the band.
    """

    vectors: int
    pixels: int
    tops: tuple[int, ...]
    keep_from: int

    @property
    def lines(self) -> int:
        return len(self.tops)


@dataclass(frozen=True, kw_only=True)
class ConvLoops:
    """The loops of a convolution over bands, passes and tiles.

    ``width`` vectors of a line, of which ``trail`` only end a filter; ``kernel`` has the lines of a
    kernel and ``lane_steps`` those of the pixel lanes, both as distances from the first. A pass has
    ``chunks`` tiles for each line of the kernel.
    """

    width: int
    trail: int
    kernel: tuple[int, ...]
    lane_steps: tuple[int, ...]
    chunks: int
    passes: int
    lines: int      #: Output lines of each pixel lane.
    band: int       #: Those of a band.
    y_origin: int   #: Input line of the first one, and how far it is from one to the next.
    y_step: int

    @classmethod
    def of(cls, config: dict[str, int], pixel_lanes: int) -> Self:
        """Those that ``config``, the fields of a configuration of the im2col unit, stand for."""
        return cls(
            width=config["x_count"] + 1, trail=config.get("trail", 0),
            kernel=tuple(line * config["kh_step"] for line in range(config["kh_count"] + 1)),
            lane_steps=tuple(lane * config.get("lane_step", 0) for lane in range(pixel_lanes)),
            chunks=(config["kw_count"] + 1) * (config["chunks"] + 1),
            passes=(config["tiles"] + 1) * (config["groups"] + 1),
            lines=config["y_count"] + 1, band=config["band"] + 1,
            y_origin=config["y_origin"], y_step=config["y_step"])

    @property
    def tiles(self) -> int:
        """Those of a pass."""
        return self.chunks * len(self.kernel)

    @property
    def bands(self) -> Iterator[Band]:
        """From the top of the image down; the last one may be shorter."""
        for first in range(0, self.lines, self.band):
            count = min(self.band, self.lines - first)
            *tops, after = (self.y_origin + (first + line) * self.y_step
                            for line in range(count + 1))
            yield Band(vectors=count * self.width,
                       pixels=count * (self.width - self.trail) * len(self.lane_steps),
                       tops=tuple(tops), keep_from=after)
