"""The cores by name, with parameters chosen for each family."""

from rtl.accelerator import AcceleratorParams
from rtl.array import SystolicArray
from rtl.bus import BusAccelerator
from rtl.conv2d import Conv2d
from rtl.family import FAMILIES
from rtl.gemm import Gemm
from rtl.im2col import Im2col, Im2colParams
from rtl.params import ArrayParams, products_for
from rtl.postprocess import Requantizer
from rtl.validate import divisor, integer, one_of

__all__ = ["CORES", "MULTIPLIERS", "build_core", "macs_per_cycle"]

CORES = ("array", "im2col", "requantizer", "gemm", "conv2d", "accelerator")

#: DSPs of each family's smallest part, where no device is given.
MULTIPLIERS = {"generic": 0, "ice40": 8, "ecp5": 28}

#: Sizes of the accelerator's memories.
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
                    "bus", *MEMORIES},
}


def build_core(core, *, rows=8, cols=8, family="generic", multipliers=None, **options):
    """One of :data:`CORES`.

    Parameters
    ----------
    core : :class:`str`
    rows, cols : :class:`int`
        Shape of the array; the im2col unit has ``rows`` only, the requantiser neither.
    family : :class:`str`
        One of :data:`~rtl.family.FAMILIES`, whose primitives the products use.
    multipliers : :class:`int` or None
        DSPs for the whole core; None stands for those of the family's smallest part.
    **options
        ``fir_rows``, ``depth``, ``drain_lanes``, ``requantize``, ``rounding``, ``word_bytes``,
        ``buffer_bytes`` as of :class:`Conv2d`, :data:`MEMORIES` as of :class:`AcceleratorParams`,
        ``bus`` as of :class:`BusAccelerator`, where the core has them. None, or leaving one out,
        stands for a default by family.

    Raises
    ------
    :exc:`TypeError`
        If a parameter has the wrong type.
    :exc:`ValueError`
        If a parameter is out of range, or the core does not have it.
    """
    one_of("core", core, CORES)
    one_of("family", family, FAMILIES)
    rows, cols = integer("rows", rows, 1, 32), integer("cols", cols, 1, 32)
    given = {name: value for name, value in options.items() if value is not None}
    if unknown := sorted(set(given) - OPTIONS[core]):
        raise ValueError(f"{core} has no {' and no '.join(unknown)}; its options are "
                         f"{', '.join(sorted(OPTIONS[core]))}")
    settings = _defaults(core, family, rows, cols) | given
    if core == "requantizer":
        return _build_requantizer(settings)
    if core == "im2col":
        return _build_im2col(family, rows, cols, settings)
    multipliers = MULTIPLIERS[family] if multipliers is None else integer(
        "multipliers", multipliers, 0, 1 << 10)
    return _build_with_array(core, family, rows, cols, multipliers, settings)


def _defaults(core, family, rows, cols):
    """Options that suit a family."""
    small = family == "ice40"
    return {
        "fir_rows": min(3, rows) if "fir_rows" in OPTIONS[core] else 0,
        "depth": 256 if small else 512,
        "drain_lanes": 1 if small else _lanes(core, cols, 4 if family == "generic" else 2),
        "requantize": 0 if core == "gemm" else 3 if small else 1,
        "rounding": "tflm",
        "word_bytes": 0,
        "buffer_bytes": 2048 if small else 16384,
        "bus": "axi",
    }


def _build_requantizer(settings):
    cycles, rounding = Requantizer.check(
        "requantize", settings["requantize"], settings["rounding"])
    return Requantizer(drain_lanes=settings["drain_lanes"], cycles=cycles, rounding=rounding)


def _build_im2col(family, rows, cols, settings):
    fir = integer("fir_rows", settings["fir_rows"], 0, rows) > 0
    return Im2col(Im2colParams(
        rows=rows, vector_bytes=max(rows, cols) if fir else rows, fir=fir,
        output_register=_has_output_registers(family), word_bytes=settings["word_bytes"],
        buffer_bytes=settings["buffer_bytes"]))


def _build_with_array(core, family, rows, cols, multipliers, settings):
    """A core that has an array: all but the two above."""
    fir_rows, drain_lanes = settings["fir_rows"], settings["drain_lanes"]
    integer("fir_rows", fir_rows, 0, rows)
    if core != "array" and family == "ecp5" and settings["requantize"] == 1:
        divisor("drain_lanes", drain_lanes, cols, "columns")
        multipliers = max(multipliers - Requantizer.LANE_DSPS * drain_lanes, 0)
    array = ArrayParams(rows=rows, cols=cols, fir_rows=fir_rows,
                        products=products_for(rows, cols, fir_rows, family, multipliers))
    if core == "array":
        return SystolicArray(array)
    rest = {"output_register": _has_output_registers(family),
            **{name: settings[name] for name in ("depth", "drain_lanes", "requantize")}}
    if settings["requantize"]:
        rest["rounding"] = settings["rounding"]
    if core == "gemm":
        return Gemm(array, **rest)
    rest["buffer_bytes"] = settings["buffer_bytes"]
    small = family == "ice40"
    if small:
        rest["max_lines"] = 256
    if core == "accelerator":
        memories = {name: settings[name] for name in MEMORIES & set(settings)}
        return BusAccelerator(AcceleratorParams(array=array, **rest, **memories),
                              bus=settings["bus"])
    return Conv2d(array, **rest, word_bytes=settings["word_bytes"], counter=not small,
                  **({"max_images": 16} if small else {}))


def _has_output_registers(family):
    """Whether block RAM has output registers, which cost a cycle of latency, but no area."""
    return family != "ice40"


def _lanes(core, cols, most):
    """The largest number of lanes up to ``most`` that divides ``cols``; the accelerator's is a
    power of two."""
    return max(lanes for lanes in range(1, most + 1) if cols % lanes == 0
               and not (core == "accelerator" and lanes & (lanes - 1)))


def macs_per_cycle(component):
    """Products of ``component`` in a cycle; 0 if it has no array."""
    params = getattr(component, "array", getattr(component, "params", None))
    params = getattr(params, "array", params)
    return params.rows * params.cols if isinstance(params, ArrayParams) else 0
