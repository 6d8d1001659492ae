"""A build of the accelerator that is large enough for a network."""

from dataclasses import replace

from host.compiler import compile_graph
from rtl.accelerator import AcceleratorParams
from rtl.params import ArrayParams

__all__ = ["fit", "small_build"]

#: What to give a network that needs more: each time twice as much, until there is no more.
LARGEST = {"activation_bytes": 1 << 20, "weight_bytes": 1 << 22, "channels": 1 << 15,
           "program_words": 1 << 15, "buffer_bytes": 1 << 17, "max_lines": 4096, "depth": 4096}


def small_build(rows=8, cols=8, lanes=None):
    """Parameters of a build of that shape with memories for a small network."""
    lanes = lanes or max(n for n in (1, 2, 4) if cols % n == 0)
    return AcceleratorParams(array=ArrayParams(rows=rows, cols=cols, fir_rows=min(3, rows)),
                             lanes=lanes)


def fit(graph, params, keep=False):
    """``params``, with memories large enough for ``graph``.

    Each memory stays as it is if it suffices, so that small networks share a build. Raises
    :exc:`ValueError` if the network does not fit the largest there is, or cannot run at all.
    """
    try:
        compile_graph(graph, params, keep)
        return params
    except ValueError:
        pass
    largest = replace(params, **{name: max(value, getattr(params, name))
                                 for name, value in LARGEST.items()})
    compile_graph(graph, largest, keep)  # says what is wrong if not even that will do
    for name in LARGEST:
        while getattr(largest, name) > getattr(params, name):
            smaller = replace(largest, **{name: max(getattr(largest, name) // 2,
                                                    getattr(params, name))})
            try:
                compile_graph(graph, smaller, keep)
            except ValueError:
                break
            largest = smaller
    return largest
