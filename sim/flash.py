"""A serial flash in simulation: the model in ``flash.h``."""

import ctypes
import functools
from typing import Protocol, TypeGuard

from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.sim import SimulatorContext

from rtl.export.verilog import ports_of
from sim.compiled import FLASH, compile_library, port_text
from sim.streams import Bench

__all__ = ["FlashModel", "FlashPins", "flash_table"]


class FlashPins(Protocol):
    """The flash's pins, as :func:`rtl.boot.flash_pins` has them."""

    cs: Signal
    sck: Signal
    copi: Signal
    cipo: Signal


class _WithFlash(Protocol):
    mhz: float


def _has_flash(component: wiring.Component) -> TypeGuard[_WithFlash]:
    return "flash" in component.signature.members


def flash_table(component: wiring.Component) -> str:
    """The flash beside a component with pins ``flash``, and an attribute ``mhz``, for its compiled
    simulation; empty for any other."""
    if not _has_flash(component):
        return ""
    ports = ports_of(component)
    pins = ", ".join(port_text(f"flash__{name}", len(ports[f"flash__{name}"][0]))
                     for name in ("cs", "sck", "copi", "cipo"))
    return f"flash.reset(new Flash({_period(component.mhz)}));\nflash_pins = {{{pins}}};\n"


def _period(mhz: float) -> int:
    return round(1e6 / mhz)


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compile_library(FLASH.with_suffix(".cpp"), [FLASH])))
    library.flash_create.restype = ctypes.c_void_p
    library.flash_error.restype = ctypes.c_char_p
    return library


class FlashModel:
    """A flash of 16 MB, asleep.

    Parameters
    ----------
    mhz : number
        Clock of the FPGA.
    """

    def __init__(self, mhz: float) -> None:
        self._library = _library()
        self._model: ctypes.c_void_p | None = ctypes.c_void_p(
            self._library.flash_create(ctypes.c_int64(_period(mhz))))

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self._library.flash_destroy(self._model)
            self._model = None

    def write(self, offset: int, data: bytes | bytearray) -> None:
        """Have ``data`` at an address."""
        self._library.flash_write(self._model, ctypes.c_uint64(offset), bytes(data),
                                  ctypes.c_uint64(len(data)))

    @property
    def error(self) -> str:
        """The first rule of the data sheet that was broken; empty if none was."""
        return self._library.flash_error(self._model).decode()

    def clock(self, cs: int, sck: int, copi: int) -> int:
        """A clock of the FPGA, with the levels before it; the output after it."""
        return self._library.flash_clock(self._model, cs, sck, copi)

    def attach(self, pins: FlashPins) -> Bench:
        """A bench that holds the flash to the pins, and fails with its error."""
        async def chip(ctx: SimulatorContext) -> None:
            async for *_, cs, sck, copi in ctx.tick().sample(pins.cs, pins.sck, pins.copi):
                ctx.set(pins.cipo, self.clock(cs, sck, copi))
                assert not self.error, self.error
        return chip
