"""The cores by name, with parameters that suit each family."""

from rtl.accelerator import AcceleratorParams
from rtl.array import SystolicArray
from rtl.bus import BusAccelerator
from rtl.conv2d import Conv2d
from rtl.family import FAMILIES
from rtl.gemm import Gemm
from rtl.im2col import Im2col, Im2colParams
from rtl.params import ArrayParams, products_for
from rtl.postprocess import Requantizer
from rtl.validate import integer, one_of

__all__ = ["CORES", "MULTIPLIERS", "build_core", "macs_per_cycle"]

CORES = ("array", "im2col", "requantizer", "gemm", "conv2d", "accelerator")

#: Multipliers to count on where no device says how many it has: those of the smallest part.
MULTIPLIERS = {"generic": 0, "ice40": 8, "ecp5": 28}

#: Memories of the accelerator.
MEMORIES = {"activation_bytes", "weight_bytes", "channels", "program_words"}

#: Options of each core, besides ``rows``, ``cols``, ``family`` and ``multipliers``.
OPTIONS = {
    "array": {"fir_rows"},
    "im2col": {"fir_rows", "word_bytes", "buffer_bytes"},
    "requantizer": {"drain_lanes", "requantize", "rounding"},
    "gemm": {"depth", "drain_lanes", "requantize", "rounding"},
    "conv2d": {"fir_rows", "depth", "drain_lanes", "requantize", "rounding", "word_bytes",
               "buffer_bytes"},
    "accelerator": {"fir_rows", "depth", "drain_lanes", "requantize", "rounding", "buffer_bytes",
                    "bus",
                    *MEMORIES},
}


def build_core(core, *, rows=8, cols=8, family="generic", multipliers=None, **options):
    """One of :data:`CORES`.

    Parameters
    ----------
    core : :class:`str`
    rows, cols : :class:`int`
        Shape of the array; the im2col unit has ``rows`` only, the requantiser neither.
    family : :class:`str`
        What the products are made of.
    multipliers : :class:`int` or None
        DSPs there are for the whole core; None stands for those of the family's smallest part.
    **options
        ``fir_rows``, ``depth``, ``drain_lanes``, ``requantize``, ``rounding``, ``word_bytes``,
        ``buffer_bytes`` as of :class:`Conv2d`, :data:`MEMORIES` as of :class:`AcceleratorParams`,
        ``bus`` as of :class:`BusAccelerator`, where the core has them; left out or None, what
        suits the family.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a parameter is out of range, or the core does not have it.
    """
    one_of("core", core, CORES)
    one_of("family", family, FAMILIES)
    rows, cols = integer("rows", rows, 1, 32), integer("cols", cols, 1, 32)
    given = {name: value for name, value in options.items() if value is not None}
    if unknown := sorted(set(given) - OPTIONS[core]):
        raise ValueError(f"{core} has no {' and no '.join(unknown)}; its options are "
                         f"{', '.join(sorted(OPTIONS[core]))}")
    small = family == "ice40"
    settings = {
        "fir_rows": min(3, rows) if "fir_rows" in OPTIONS[core] else 0,
        "depth": 256 if small else 512,
        "drain_lanes": 1 if small else _lanes(core, cols, 4 if family == "generic" else 2),
        "requantize": 0 if core == "gemm" else 3 if small else 1,
        "rounding": "tflm",
        "word_bytes": 0,
        "buffer_bytes": 2048 if small else 16384,
        "bus": "axi",
        **given,
    }
    drain_lanes, requantize, rounding = (
    settings[name] for name in (
        "drain_lanes", "requantize", "rounding"))
    buffer = {name: settings[name] for name in ("word_bytes", "buffer_bytes")}
    fast = not small  # the output registers of block RAM cost cycles, not area; iCE40 has none
    if core == "requantizer":
        Requantizer.check("requantize", requantize, rounding)
        return Requantizer(drain_lanes=drain_lanes, cycles=requantize, rounding=rounding)
    if core == "im2col":
        fir = settings["fir_rows"] > 0
        vector_bytes = max(rows, cols) if fir else rows
        return Im2col(Im2colParams(rows=rows, vector_bytes=vector_bytes, fir=fir,
                                   output_register=fast, **buffer))
    if multipliers is None:
        multipliers = MULTIPLIERS[family]
    multipliers = integer("multipliers", multipliers, 0, 1 << 10)
    if family == "ecp5" and core in {"gemm", "conv2d", "accelerator"} and requantize == 1:
        multipliers = max(multipliers - Requantizer.LANE_DSPS * drain_lanes, 0)
    array = ArrayParams(rows=rows, cols=cols, fir_rows=settings["fir_rows"], products=products_for(
        rows, cols, settings["fir_rows"], family, multipliers))
    if core == "array":
        return SystolicArray(array)
    rest = {"depth": settings["depth"], "drain_lanes": drain_lanes, "requantize": requantize,
            "output_register": fast}
    if requantize:
        rest["rounding"] = rounding
    if core == "gemm":
        return Gemm(array, **rest)
    lines = {"max_lines": 256} if small else {}
    if core == "accelerator":
        memories = {name: given[name] for name in MEMORIES & set(given)}
        return BusAccelerator(AcceleratorParams(
            array=array, **rest, **memories, **lines, buffer_bytes=settings["buffer_bytes"]),
            bus=settings["bus"])
    return Conv2d(array, **rest, **buffer, **lines, counter=not small,
                  **({"max_images": 16} if small else {}))


def _lanes(core, cols, most):
    """The most lanes up to ``most`` that divide ``cols``; the accelerator's are a power of two."""
    return max(drain_lanes for drain_lanes in range(1, most + 1) if cols % drain_lanes == 0
               and not (core == "accelerator" and drain_lanes & (drain_lanes - 1)))


def macs_per_cycle(component):
    """Products of ``component`` in a cycle, 0 if it has no array."""
    params = getattr(component, "array", getattr(component, "params", None))
    params = getattr(params, "array", params)
    return params.rows * params.cols if isinstance(params, ArrayParams) else 0
