"""From matrices to the streams that :class:`Gemm` takes, and from what leaves it to a matrix."""

from collections.abc import Mapping

import numpy as np

from rtl.validate import integer
from systolith.compiler.cost.machine import Machine
from systolith.compiler.tiling.bands import band_bounds
from systolith.compiler.tiling.padding import pad_to_multiple

__all__ = ["GemmPlan"]


class GemmPlan:
    """How ``a @ b`` runs on a :class:`Gemm`: (M, K) by (K, N) int8.

    For each band of rows of ``a``, for each column tile of ``b``, for each row tile. Pixel lanes
    take the rows in turns; ``band`` is the number of rows of a band for each of them; None stands
    for the best.

    Raises :exc:`TypeError` and :exc:`ValueError` for matrices that are not int8, empty or do not
    match, and for a band beyond the depth of the machine.
    """

    def __init__(self, machine: Machine, a: np.ndarray, b: np.ndarray,
                 band: int | None = None) -> None:
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
            raise ValueError(f"matrices must be (M, K) and (K, N), not {a.shape} and {b.shape}")
        for name, matrix in (("A", a), ("B", b)):
            if matrix.dtype != np.int8:
                raise TypeError(f"{name} must be of int8, not {matrix.dtype}")
            if 0 in matrix.shape:
                raise ValueError(f"{name} must not be empty, but its shape is {matrix.shape}")
        self.machine, self.m, self.n = machine, a.shape[0], b.shape[1]
        self.macs = a.shape[0] * a.shape[1] * b.shape[1]
        rows, cols, lanes = machine.array.rows, machine.array.cols, machine.pixel_lanes
        self.row_tiles, self.col_tiles = -(-a.shape[1] // rows), -(-self.n // cols)
        a = pad_to_multiple(pad_to_multiple(a, 1, rows), 0, lanes)
        self.steps = len(a) // lanes
        if band is None:
            band = 1 + int(np.argmin(band_bounds(
                machine, lines=self.steps, width=1, row_tiles=self.row_tiles,
                passes=self.col_tiles, most=min(self.steps, machine.depth))))
        self.band = integer("band", band, 1, machine.depth)
        self._a = a.reshape(self.steps, lanes, self.row_tiles, rows)
        tiles = pad_to_multiple(pad_to_multiple(b, 0, rows), 1, cols)
        self._b = tiles.reshape(self.row_tiles, rows, self.col_tiles, cols).transpose(2, 0, 1, 3)

    @property
    def bands(self) -> list[tuple[int, int]]:
        """First and last row, exclusive, of each band, as each pixel lane counts them."""
        return [(top, min(top + self.band, self.steps)) for top in range(0, self.steps, self.band)]

    def vectors(self) -> dict[str, np.ndarray]:
        """Fields of the payloads of ``i``."""
        array, lanes = self.machine.array, self.machine.pixel_lanes
        parts = []
        for top, end in self.bands:
            part = self._a[top:end].transpose(2, 0, 1, 3)        # row tile, vector, lane, tap
            flags = np.zeros((4, self.row_tiles, end - top), np.uint8)
            first, last, start, done = flags
            first[:, 0] = last[:, -1] = start[0] = done[-1] = 1
            part = part.reshape(-1, lanes, array.rows)
            parts += [(part, *flags.reshape(4, -1))] * self.col_tiles
        data, first, last, start, done = (np.concatenate(field) for field in zip(*parts,
                                                                                 strict=True))
        data = np.pad(data, ((0, 0), (0, 0), (0, array.vector_bytes - array.rows)))
        one = np.ones_like(first)
        return {"data": data.reshape(len(data), -1), "first": first, "last": last, "start": start,
                "done": done, "keep": one, "fir": one * 0}

    def weights(self) -> np.ndarray:
        """Rows (count, cols) of all tiles."""
        return np.tile(self._b.reshape(-1, self.machine.array.cols), (len(self.bands), 1))

    def channel_params(self, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Beats of per-channel ``params`` (a dict of arrays of N) for the requantizer."""
        cols, drain_lanes = self.machine.array.cols, self.machine.drain_lanes
        return {name: np.tile(pad_to_multiple(values, 0, cols).reshape(-1, drain_lanes),
                              (len(self.bands), 1))
                for name, values in params.items()}

    @property
    def beats(self) -> int:
        """Beats that leave on ``o``."""
        pixels = self.steps * self.machine.pixel_lanes
        return pixels * self.col_tiles * self.machine.channel_groups

    def gather(self, beats: np.ndarray) -> np.ndarray:
        """The product (M, N) from the ``beats`` (count, drain_lanes) that left."""
        groups, drain_lanes = self.machine.channel_groups, self.machine.drain_lanes
        out, at = [], 0
        for top, end in self.bands:
            rows = (end - top) * self.machine.pixel_lanes
            count = self.col_tiles * groups * rows
            part = beats[at:at + count].reshape(self.col_tiles, groups, rows, drain_lanes)
            out.append(part.transpose(2, 0, 1, 3).reshape(rows, -1)[:, :self.n])
            at += count
        return np.concatenate(out)[:self.m]
