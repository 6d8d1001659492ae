"""The pins of a board's serial flash."""

from amaranth import *
from amaranth.build import Attrs, Pins, PinsN, Platform, Resource, Subsignal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In

from boards.board import Board
from rtl.boot import flash_pins

__all__ = ["FlashPads"]


class FlashPads(wiring.Component):
    """The flash from which the FPGA was configured, for what it does afterwards.

    On ECP5 the clock has no pin of its own but a way through ``USRMCLK``; the others are those that
    ``board.image_pins`` names. Elsewhere the platform has a resource ``spi_flash_1x``.

    Members
    -------
    pins : ``In(flash_pins())``
    """

    def __init__(self, board: Board, platform: Platform) -> None:
        self.family = board.family
        name = "spi_flash_1x"
        if board.image_pins:
            name = "image_flash"
            platform.add_resources([Resource(
                name, 0, *(Subsignal(wire, (Pins if wire in {"copi", "cipo"} else PinsN)(
                    pin, dir="i" if wire == "cipo" else "o"))
                    for wire, pin in board.image_pins),
                Attrs(IO_TYPE="LVCMOS33"))])
        names = [wire.name for wire in platform.lookup(name, 0).ios]
        self._wires = platform.request(name, 0, dir=dict.fromkeys(names, "-"))
        self._names = names
        super().__init__({"pins": In(flash_pins())})

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        # Neither protected nor held.
        levels = {"cs": self.pins.cs, "clk": self.pins.sck, "copi": self.pins.copi, "wp": 0,
                  "hold": 0}
        for name in self._names:
            if name in levels:
                m.submodules[name] = buffer = io.Buffer("o", getattr(self._wires, name))
                m.d.comb += buffer.o.eq(levels[name])
        m.submodules.cipo = cipo = io.Buffer("i", self._wires.cipo)
        m.d.comb += self.pins.cipo.eq(cipo.i)
        if self.family == "ecp5":
            # Ref: FPGA-TN-02039, ECP5 and ECP5-5G sysCONFIG Usage Guide: USRMCLK
            m.submodules.clock = Instance("USRMCLK", i_USRMCLKI=self.pins.sck, i_USRMCLKTS=0)
        return m
