"""An SDRAM chip in simulation: the model in ``sdram.h``."""

import ctypes
import functools
from typing import Any, Protocol, TypeGuard

from amaranth.lib import wiring
from amaranth.sim import SimulatorContext

from rtl.export.verilog import ports_of
from rtl.memory.sdram import SdramChip
from sim.compiled import SDRAM, compile_library, port_text
from sim.streams import Bench

__all__ = ["SdramModel", "sdram_table"]

#: Pins that a controller drives, in the order of the model's.
OUTPUTS = "ras", "cas", "we", "ba", "a", "dqm", "dq_o", "dq_oe"


class _WithSdram(Protocol):
    chip: SdramChip
    mhz: float


def _has_sdram(component: wiring.Component) -> TypeGuard[_WithSdram]:
    return "sdram" in component.signature.members


class _Controller(Protocol):
    pins: Any  #: An interface of :func:`rtl.memory.sdram.sdram_pins`.


def sdram_table(component: wiring.Component) -> str:
    """The chip beside a component with pins ``sdram``, and attributes ``chip`` and ``mhz``, for its
    compiled simulation; empty for any other."""
    if not _has_sdram(component):
        return ""
    ports = ports_of(component)
    config = ", ".join(map(str, _config(component.chip, component.mhz)))
    pins = ", ".join(port_text(f"sdram__{name}", len(ports[f"sdram__{name}"][0]))
                     for name in (*OUTPUTS, "dq_i"))
    return f"sdram.reset(new Sdram(SdramConfig{{{config}}}));\nsdram_pins = {{{pins}}};\n"


def _config(chip: SdramChip, mhz: float) -> list[int]:
    """Numbers that the model takes: bits, and times in ps."""
    def ps(ns: float) -> int:
        return round(ns * 1000)

    return [chip.data_bits, chip.column_bits, chip.row_bits, chip.bank_bits,
            round(1e6 / mhz), ps(chip.period), chip.cas, *(ps(getattr(chip, name)) for name in (
                "start", "refresh", "rcd", "rp", "ras", "rc", "rfc", "rrd", "wr", "mrd"))]


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compile_library(SDRAM.with_suffix(".cpp"), [SDRAM])))
    library.sdram_create.restype = ctypes.c_void_p
    library.sdram_clock.restype = ctypes.c_uint32
    library.sdram_error.restype = ctypes.c_char_p
    library.sdram_refreshes.restype = library.sdram_activations.restype = ctypes.c_uint64
    return library


class SdramModel:
    """A chip, and the registers of the pads before it.

    Parameters
    ----------
    chip : :class:`~rtl.memory.sdram.SdramChip`
    mhz : number
    """

    def __init__(self, chip: SdramChip, mhz: float) -> None:
        values = _config(chip, mhz)
        self._library = _library()
        self._model: ctypes.c_void_p | None = ctypes.c_void_p(
            self._library.sdram_create((ctypes.c_int64 * len(values))(*values)))

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self._library.sdram_destroy(self._model)
            self._model = None

    def restart(self) -> None:
        """The FPGA was reset."""
        self._library.sdram_restart(self._model)

    def clock(self, **pins: int) -> int:
        """A clock with the levels of ``pins`` before it, 0 where they are left out; what comes back
        after it."""
        values = [pins.get(name, 0) for name in OUTPUTS]
        return self._library.sdram_clock(self._model, (ctypes.c_uint32 * len(values))(*values))

    @property
    def error(self) -> str:
        """The first rule of the data sheet that was broken; empty if none was."""
        return self._library.sdram_error(self._model).decode()

    @property
    def refreshes(self) -> int:
        return self._library.sdram_refreshes(self._model)

    @property
    def activations(self) -> int:
        return self._library.sdram_activations(self._model)

    def attach(self, dut: _Controller) -> Bench:
        """A bench that holds the chip to the pins of a controller, and fails with its error."""
        pins = [getattr(dut.pins, name) for name in OUTPUTS]

        async def chip(ctx: SimulatorContext) -> None:
            async for _, reset, *levels in ctx.tick().sample(*pins):
                if reset:
                    self.restart()
                ctx.set(dut.pins.dq_i, self.clock(**dict(zip(OUTPUTS, levels, strict=True))))
                assert not self.error, self.error
        return chip
