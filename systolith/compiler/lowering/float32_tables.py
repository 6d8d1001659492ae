"""How the hardware's one rounding gives the results of operators that onnxruntime rounds often.

A sum or a mean passes float32 several times there. Where integers, one factor and one rounding can
give the same, for every operand there is, they are found here by trying all of them; elsewhere the
host computes the operator.
"""

import functools

import numpy as np
import numpy.typing as npt

from rtl.accelerator.units.add import TABLE
from sim.golden import float32
from sim.golden.requantize import requantize_float32
from sim.golden.types import Int64, Pair
from systolith.graph.attributes import Pool
from systolith.graph.ir import Graph, Operator

__all__ = ["BYTES", "average", "mean_factor", "total"]

#: All int8, by their bits.
BYTES = np.arange(TABLE).astype(np.uint8).view(np.int8)

#: Changes of an entry of the table to try, the smallest first.
CHANGES = np.array([0, *(sign * step for shift in range(13) for step in (2 << shift, 3 << shift)
                         for sign in (1, -1))]) // 2


#: A table, a factor, and a zero point.
Sum = tuple[Int64, np.float32, int]

#: A bias, a factor, and a zero point.
Mean = tuple[int, np.float32, int]


def _even(zero_point: int) -> Pair:
    """``(even, rest)``: ties to even stay what they are when an even number is added later."""
    return zero_point & ~1, zero_point & 1


@functools.lru_cache(maxsize=4096)
def _total(scales: tuple[float, float], zero_points: Pair, turned: bool, scale: float,
           zero_point: int, offset: int) -> Sum | None:
    """``(table, factor, zero point)`` for the sum of all pairs of int8, or :data:`None`.

    ``acc = (a << 19) + table[b]``, where ``a`` is the first operand, or the second if ``turned``.
    """
    pair = (BYTES[:, None], BYTES[None, :]) if turned else (BYTES[None, :], BYTES[:, None])
    want = float32.add(*pair, scales=scales, zero_points=zero_points, scale=scale,
                       zero_point=zero_point, offset=offset)
    if turned:
        scales, zero_points = scales[::-1], zero_points[::-1]
    even, rest = _even(zero_point)
    shifted = BYTES.astype(np.int64)[None, :] << 19
    ratio = np.float32(scales[0]) / np.float32(scale)
    up = np.nextafter(ratio, np.float32(np.inf))
    for first in (ratio, up, np.nextafter(ratio, np.float32(0))):
        factor = first * np.float32(2.0 ** -19)
        exact = ((BYTES - float(zero_points[1])) * (scales[1] / scale) + rest
                 - zero_points[0] * float(ratio)) / float(factor)
        if not 0 < factor < 8 or np.abs(exact).max() > (1 << 31) - (1 << 27):
            continue
        table = np.rint(exact).astype(np.int64)

        def right(entries: Int64, numbers: slice | npt.NDArray[np.integer],
                  factor: np.float32 = factor) -> npt.NDArray[np.bool_]:
            got = requantize_float32(shifted + entries[:, None], 0, factor, even)
            return np.logical_and.reduce(got == want[numbers], axis=1)

        for line in np.flatnonzero(~right(table, slice(None))):
            entries = table[line] + CHANGES
            fits = right(entries, np.full(len(entries), line))
            if not fits.any():
                break
            table[line] = entries[fits.argmax()]
        else:
            return table, factor, even
    return None


def total(graph: Graph, operator: Operator) -> tuple[int, int, Int64, np.float32, int] | None:
    """``(first operand, second, table, factor, zero point)`` of an ADD, or :data:`None`."""
    a, b, y = graph.activation(operator), graph.activation(operator, 1), graph.result(operator)
    turned = b.scale > a.scale
    found = _total((float(a.scale), float(b.scale)), (a.zero_point, b.zero_point), turned,
                   float(y.scale), y.zero_point, 128 * y.unsigned)
    return None if found is None else (int(turned), int(not turned), *found)


def mean_factor(graph: Graph, operator: Operator, cells: int) -> np.float32:
    """What sums of ``cells`` numbers are multiplied by for a MEAN."""
    x, y = graph.activation(operator), graph.result(operator)
    return np.float32(x.scale) / (np.float32(y.scale) * np.float32(cells))


@functools.lru_cache(maxsize=4096)
def _average(cells: int, count: int, input_scale: float, input_zero_point: int, scale: float,
             zero_point: int, offset: int) -> Mean | None:
    mantissa = int(np.float32(input_scale).view(np.uint32)) & 0x7fffff | 0x800000
    mantissa //= mantissa & -mantissa
    if 255 * cells * mantissa > 1 << 24:
        return None  # the order of the additions counts
    sums = np.arange(cells * (-128 - input_zero_point), cells * (127 - input_zero_point) + 1)
    real = sums.astype(np.float32) * np.float32(input_scale) / np.float32(count)
    want = np.rint(real / np.float32(scale) + np.float32(zero_point + offset)) - offset
    want = np.clip(want, -128, 127).astype(np.int8)
    factor = np.float32(input_scale / count / scale)
    if not 0 < factor < 8:
        return None
    even, rest = _even(zero_point)
    more = rest * count * scale / input_scale
    for bias, zero in ((round(more), even), (0, zero_point)):
        if np.array_equal(requantize_float32(sums, bias, factor, zero), want):
            return bias - cells * input_zero_point, factor, zero
    return None


def average(graph: Graph, operator: Operator, cells: int) -> Mean | None:
    """``(bias, factor, zero point)`` of windows of AVERAGE_POOL_2D that see ``cells`` cells of the
    image, or :data:`None`."""
    x, y = graph.activation(operator), graph.result(operator)
    attributes: Pool = operator.attributes
    height, width = attributes.kernel
    return _average(cells, height * width if attributes.count_padding else cells,
                    float(x.scale), x.zero_point, float(y.scale), y.zero_point, 128 * y.unsigned)
