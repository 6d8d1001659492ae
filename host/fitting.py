"""A build of the accelerator that is large enough for a network."""

from dataclasses import replace

from amaranth.utils import ceil_log2

from host.compiler import needs_of
from rtl.accelerator import AcceleratorParams
from rtl.params import ArrayParams

__all__ = ["fit", "small_build"]

#: What layers too wide for a build are given: twice as much until it suffices.
LARGEST = {"buffer_bytes": 1 << 17, "max_lines": 4096, "depth": 4096}


def small_build(rows=8, cols=8, lanes=None, **params):
    """Parameters of a build of that shape with memories for a small network; ``params`` are others
    of :class:`AcceleratorParams`."""
    lanes = lanes or max(n for n in (1, 2, 4) if cols % n == 0)
    return AcceleratorParams(array=ArrayParams(rows=rows, cols=cols, fir_rows=min(3, rows)),
                             lanes=lanes, **params)


def fit(graph, params, keep=False, batch=1):
    """``params``, with memories large enough for ``graph``, ``batch`` pictures at a time.

    Each memory stays as it is if it suffices, so that small networks share a build. Raises
    :exc:`ValueError` if the network cannot run on any.
    """
    while True:
        try:
            needs = needs_of(graph, params, keep, batch)
            break
        except ValueError:
            larger = {name: min(2 * getattr(params, name), most)
                      for name, most in LARGEST.items()}
            if all(value <= getattr(params, name) for name, value in larger.items()):
                raise
            params = replace(params, **{name: max(value, getattr(params, name))
                                        for name, value in larger.items()})
    return replace(params, **{
        name: max(getattr(params, name), 1 << ceil_log2(need))
        for name, need in needs.items()})
