"""The pins of a board's SDRAM."""

from amaranth import *
from amaranth.build import Platform
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In

from rtl.memory.sdram import SdramChip, sdram_pins

__all__ = ["LEAST_MHZ", "PHASE", "SdramPads"]

#: Degrees by which the chip's clock comes behind the FPGA's own.
#:
#: All pins have registers in their pads; the clock leaves from one too, so that ways out are alike.
#: The chip takes commands 3/4 of a period after they left, and 1/4 before the next ones do: 7.5
#: and 2.5 ns at 100 MHz, of which it asks for 1.5 and 0.8. Words that it gives are there 5.4 ns
#: after its clock at the latest, until 2.5 ns after the next one, and are taken 5/4 of a period
#: after it. So the ways of the clock there and of the data back may take up to 7.1 ns in all;
#: inverted, the clock would leave 2.5 to 9.6 ns. They are taken to be some 4 ns: nobody has
#: measured them yet.
PHASE = 270
#: Below it the words that are read would be gone, as 1/4 of a period is longer than they stay.
LEAST_MHZ = 45


class SdramPads(wiring.Component):
    """Registers between a controller and a platform's resource ``sdram``, one each way; the clock
    comes from the domain ``sdram``, :data:`PHASE` degrees behind ``sync``.

    Parameters
    ----------
    chip : :class:`~rtl.memory.sdram.SdramChip`
    platform

    Members
    -------
    pins : ``In(sdram_pins(chip))``
    """

    def __init__(self, chip: SdramChip, platform: Platform) -> None:
        names = [wire.name for wire in platform.lookup("sdram", 0).ios]
        self._wires = platform.request("sdram", 0, dir=dict.fromkeys(names, "-"))
        self._names = names
        super().__init__({"pins": In(sdram_pins(chip))})

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        m.submodules.clk = clock = io.DDRBuffer("o", self._wires.clk, o_domain="sdram")
        m.submodules.dq = dq = io.FFBuffer("io", self._wires.dq)
        pins = self.pins
        m.d.comb += [clock.o[0].eq(1), clock.o[1].eq(0),
                     dq.o.eq(pins.dq_o), dq.oe.eq(pins.dq_oe), pins.dq_i.eq(dq.i)]
        levels = {"clk_en": 1, "cs": 1, "ras": pins.ras, "cas": pins.cas, "we": pins.we,
                  "ba": pins.ba, "a": pins.a, "dqm": pins.dqm}
        for name in self._names:  # some boards have the rest of them wired
            if name in levels:
                wire = getattr(self._wires, name)
                m.submodules[name] = buffer = io.FFBuffer("o", wire)
                level = levels[name]
                m.d.comb += buffer.o.eq(level.replicate(len(wire)) if name == "dqm" else level)
        return m
