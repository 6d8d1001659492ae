"""A serial flash in simulation: the model in ``flash.h``."""

import ctypes
import functools

from rtl.export.verilog import ports_of
from sim.compiled import FLASH, compile_library, port_text

__all__ = ["FlashModel", "flash_table"]


def flash_table(component):
    """The flash beside a component with pins ``flash``, and an attribute ``mhz``, for its compiled
    simulation; empty for any other."""
    if "flash" not in component.signature.members:
        return ""
    ports = ports_of(component)
    pins = ", ".join(port_text(f"flash__{name}", len(ports[f"flash__{name}"][0]))
                     for name in ("cs", "sck", "copi", "cipo"))
    return f"flash.reset(new Flash({_period(component.mhz)}));\nflash_pins = {{{pins}}};\n"


def _period(mhz):
    return round(1e6 / mhz)


@functools.cache
def _library():
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

    def __init__(self, mhz):
        self._library = _library()
        self._model = ctypes.c_void_p(self._library.flash_create(ctypes.c_int64(_period(mhz))))

    def __del__(self):
        if getattr(self, "_model", None):
            self._library.flash_destroy(self._model)
            self._model = None

    def write(self, offset, data):
        """Have ``data`` at an address."""
        self._library.flash_write(self._model, ctypes.c_uint64(offset), bytes(data),
                                  ctypes.c_uint64(len(data)))

    @property
    def error(self):
        """The first rule of the data sheet that was broken; empty if none was."""
        return self._library.flash_error(self._model).decode()

    def clock(self, cs, sck, copi):
        """A clock of the FPGA, with the levels before it; the output after it."""
        return self._library.flash_clock(self._model, cs, sck, copi)

    def attach(self, pins):
        """A bench that holds the flash to the pins, and fails with its error."""
        async def chip(ctx):
            async for *_, cs, sck, copi in ctx.tick().sample(pins.cs, pins.sck, pins.copi):
                ctx.set(pins.cipo, self.clock(cs, sck, copi))
                assert not self.error, self.error
        return chip
