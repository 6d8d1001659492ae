"""What a board's FPGA is configured with: a core, its clock, its pins."""

from amaranth import *
from amaranth.build import Attrs, Pins, Platform, Resource, Subsignal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import connect

from boards.board import Board
from boards.gateware.boot import FlashPads
from boards.gateware.pll import pll_of
from boards.gateware.sdram import LEAST_MHZ, PHASE, SdramPads
from rtl.accelerator import AcceleratorParams
from rtl.board_core import BoardCore
from rtl.link import divisor_of

__all__ = ["Top"]

#: Pins of each link: inputs and outputs, as :class:`~rtl.board_core.BoardCore` calls them.
LINKS = {"uart": (("rx",), ("tx",)), "spi": (("sck", "cs", "sdi"), ("sdo", "done"))}


class Top(Elaboratable):
    """A board's :class:`~rtl.board_core.BoardCore` behind its UART or SPI bus, clocked by a PLL.

    The first LED is lit while nothing runs, if the board has one.

    Parameters
    ----------
    board : :class:`Board`
    platform : its platform, not yet prepared
    mhz : number or None
        Clock to ask the PLL for, if not the board's own.
    params : :class:`AcceleratorParams` or None
        A build other than the board's own.
    standalone : :class:`bool`
        Whether a program is loaded from the board's flash when the power comes.

    Attributes
    ----------
    core : :class:`BoardCore`
    mhz : :class:`float`
        Clock of the core: what the PLL can make.
    """

    def __init__(self, board: Board, platform: Platform, *, mhz: float | None = None,
                 params: AcceleratorParams | None = None, standalone: bool = False) -> None:
        if not isinstance(board, Board):
            raise TypeError(f"board must be a Board, not {board!r}")
        self.board = board
        self.clock = board.clock or platform.default_clk
        source = platform.lookup(self.clock).clock.frequency / 1e6
        self.pll = pll_of(board.family, source, mhz or board.mhz)
        self.mhz = self.pll.mhz
        if standalone and board.image_at is None:
            raise ValueError(f"nothing is known of a flash on {board.title} that a program could "
                             "be loaded from")
        self.core = BoardCore(params or board.params, link=board.link, chip=board.sdram,
                              mhz=self.mhz, boot=board.image_at if standalone else None,
                              divisor=divisor_of(round(self.mhz * 1e6), board.baud))
        self._streams = bool(self.core.params.sdram_bits)
        if self._streams and self.mhz < LEAST_MHZ:
            raise ValueError(f"{board.name}: the clock must be at least {LEAST_MHZ} MHz for its "
                             f"SDRAM, not {self.mhz:g}")
        if board.pins:
            platform.add_resources([_adapter(board, board.pins)])

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        m.submodules.core = self.core
        pin, locked = platform.request(self.clock, 0, dir="-"), Signal()
        m.domains.sync = domain = ClockDomain()
        if self.board.pad:
            m.submodules.pll = self.pll.instance(pin.io, domain.clk, locked, pad=True)
        else:
            m.submodules.clock = clock = io.Buffer("i", pin)
            late = {}
            if self._streams:
                m.domains.sdram = sdram = ClockDomain(reset_less=True)
                late = {"late": sdram.clk, "degrees": PHASE}
                m.submodules.pads = pads = SdramPads(self.core.chip, platform)
                connect(m, self.core.sdram, pads.pins)
            m.submodules.pll = self.pll.instance(clock.i, domain.clk, locked, **late)
        m.submodules.reset = ResetSynchronizer(~locked)
        if self.core.boot:
            m.submodules.flash = flash = FlashPads(self.board, platform)
            connect(m, self.core.flash, flash.pins)

        number = 1 if self.board.pins else 0
        wires = [wire.name for wire in platform.lookup(self.board.link, number).ios]
        pins = platform.request(self.board.link, number, dir=dict.fromkeys(wires, "-"))
        inputs, outputs = LINKS[self.board.link]
        for name in inputs:
            m.submodules[name] = buffer = io.Buffer("i", getattr(pins, name))
            m.d.comb += getattr(self.core, name).eq(buffer.i)
        for name in outputs:
            m.submodules[name] = buffer = io.Buffer("o", getattr(pins, name))
            m.d.comb += buffer.o.eq(getattr(self.core, name))
        if self.board.led:
            m.submodules.led = led = io.Buffer("o", platform.request("led", 0, dir="-"))
            m.d.comb += led.o.eq(self.core.done)
        return m


def _adapter(board: Board, at: tuple[str, int, *tuple[str, ...]]) -> Resource:
    """A UART or SPI bus ``at`` pins of a connector."""
    connector, number, *pins = at
    inputs, outputs = LINKS[board.link]
    level = {"ice40": {"IO_STANDARD": "SB_LVCMOS"}, "ecp5": {"IO_TYPE": "LVCMOS33"}}
    wires = [Subsignal(name, Pins(pin, dir="i" if name in inputs else "o",
                                  conn=(connector, number)))
             for name, pin in zip((*inputs, *outputs), pins, strict=True)]
    return Resource(board.link, 1, *wires, Attrs(**level[board.family]))
