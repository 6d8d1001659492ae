"""A board as one declaration, and all that there are."""

import importlib
import pkgutil
from dataclasses import dataclass

from amaranth.build import Platform

from boards.devices import device_of
from rtl.accelerator import AcceleratorParams
from rtl.family import family_of
from rtl.memory.sdram import SdramChip
from rtl.validate import one_of

__all__ = ["Board", "board_of", "boards"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board, the build of the accelerator that suits it, and how it is reached.

    Parameters
    ----------
    name, title : :class:`str`
        What the command line calls it, and what is printed on it.
    device : :class:`str`
        A name from :data:`boards.devices.DEVICES`: what there is to place a build on.
    platform : :class:`str`
        ``"module:class"`` of the platform that knows the pins, from amaranth-boards.
    mhz : :class:`float`
        Clock that the PLL makes of the board's own; a build has to meet it.
    params : :class:`AcceleratorParams`
    link : :class:`str`
        ``"uart"`` or ``"spi"``.
    sdram : :class:`~rtl.memory.sdram.SdramChip` or None
        What the platform's resource ``sdram`` is, if the weights lie there.
    baud : :class:`int`
        Rate of the UART.
    pins : tuple or None
        ``(connector, number, rx, tx)``: where an adapter is to be wired, on a board without a UART;
        of an SPI bus ``(connector, number, sck, cs, sdi, sdo, done)``.
    clock : :class:`str` or None
        The clock resource, where it is not the platform's default.
    led : :class:`bool`
        There is an LED, at a pin of its own.
    pad : :class:`bool`
        The clock comes in at the PLL's own pin (iCE40).
    seed, options : :class:`int`, tuple of :class:`str`
        Seed and options of nextpnr by which the clock is met.
    macros : :class:`bool`
        Multipliers and block RAMs are placed by :mod:`boards.flow.macros`, not by nextpnr (ECP5).
    spread_enables : :class:`bool`
        With ``macros``: multipliers of one enable from afar lie in blocks of their own.
    image_at : :class:`int` or None
        Address in the board's flash, behind the bitstream, at which a program may lie that a build
        with ``standalone`` loads.
    image_pins : tuple
        ``(name, pin)`` of that flash, where the platform has no resource for it.
    flash : tuple of :class:`str`
        Arguments of openFPGALoader that name the cable or the board, before the bitstream.
    volatile : :class:`bool`
        Whether the FPGA itself can be loaded, rather than its flash.
    note : :class:`str`
        What its owner has to know: a jumper, an adapter.
    hardware : :class:`str`
        Who has seen it run there, and when.
    """

    name: str
    title: str
    device: str
    platform: str
    mhz: float
    params: AcceleratorParams
    link: str = "uart"
    sdram: SdramChip | None = None
    baud: int = 1_000_000
    pins: tuple[str, int, *tuple[str, ...]] | None = None
    clock: str | None = None
    led: bool = True
    pad: bool = False
    seed: int = 1
    options: tuple[str, ...] = ()
    macros: bool = False
    spread_enables: bool = False
    image_at: int | None = None
    image_pins: tuple[tuple[str, str], ...] = ()
    flash: tuple[str, ...] = ()
    volatile: bool = True
    note: str = ""
    hardware: str = "not yet run on hardware"

    def __post_init__(self) -> None:
        device_of(self.device)
        one_of("link", self.link, ("uart", "spi"))
        if self.link == "spi" and self.pins is None:
            raise ValueError("pins must be given for an SPI bus: no platform has one for it")
        if self.macros and self.family != "ecp5":
            raise ValueError(f"macros can be placed on an ECP5, not on {self.device}")
        if self.spread_enables and not self.macros:
            raise ValueError(
                "spread_enables must be given with macros: it says where these are placed")
        if not isinstance(self.params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {self.params!r}")
        bits = self.sdram.data_bits if self.sdram else 0
        if self.params.sdram_bits not in {0, bits}:
            raise ValueError(f"the weights of {self.name} lie in {self.params.sdram_bits} bits of "
                             f"SDRAM, of which the board has {bits}")

    @property
    def family(self) -> str:
        """``"ice40"`` or ``"ecp5"``."""
        return device_of(self.device).family

    def platform_class(self) -> type[Platform]:
        """The platform, for those who build.

        Raises :exc:`ValueError` if there is none of that name, or it is of another family.
        """
        module, _, name = self.platform.partition(":")
        try:
            found = getattr(importlib.import_module(f"amaranth_boards.{module}"), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"the platform of {self.name} must be a module of amaranth-boards and "
                             f"a class in it, as module:class, not {self.platform!r}: {error}"
                             ) from error
        if family_of(found) != self.family:
            raise ValueError(f"the platform of {self.name} must be one of an {self.device}; "
                             f"{self.platform} has an {found.device}")
        return found


def boards() -> dict[str, Board]:
    """Every :class:`Board` by its name: those of all files in ``boards/presets``."""
    package = importlib.import_module("boards.presets")
    modules = [importlib.import_module(f"boards.presets.{module.name}")
               for module in pkgutil.iter_modules(package.__path__)]
    every = [board for module in modules for board in module.BOARDS]
    known = {board.name: board for board in every}
    if len(known) < len(every):
        twice = next(board.name for board in every if known[board.name] is not board)
        raise ValueError(f"two boards in boards/presets have the name {twice}; each needs its own")
    return known


def board_of(name: str) -> Board:
    """The :class:`Board` of that name; :exc:`ValueError` names all there are otherwise."""
    known = boards()
    return known[one_of("board", name, known)]
