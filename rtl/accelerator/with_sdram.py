# amaranth: UnusedElaboratable=no
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator.accelerator import Accelerator
from rtl.accelerator.memories import memories_of
from rtl.accelerator.registers import Window
from rtl.memory.sdram import Sdram, SdramChip, chip_of, sdram_pins
from rtl.validate import number, of_type

__all__ = ["SdramAccelerator"]


class SdramAccelerator(wiring.Component):
    """An :class:`Accelerator` whose weights lie in SDRAM, with the SDRAM's controller.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
        With ``sdram_bits``.
    chip : :class:`SdramChip` or None
        A chip with as many data pins; by default any such chip.
    mhz : number
        Clock frequency.

    Members
    -------
    commands, o, done : as of :class:`Accelerator`
    clear : ``In(1)``
        Reset everything but the SDRAM's controller.
    sdram : ``Out(sdram_pins(chip))``
    """

    def __init__(self, params, *, chip=None, mhz=90):
        self.accelerator = Accelerator(params)
        self.params, self.mhz = params, number("mhz", mhz, 1, 1000)
        if not params.sdram_bits:
            raise ValueError("params must say in sdram_bits that weights lie in SDRAM")
        self.chip = chip_of(params.sdram_bits) if chip is None else of_type(
            "chip", chip, SdramChip, "an SdramChip")
        if self.chip.data_bits != params.sdram_bits:
            raise ValueError(f"the chip must have {params.sdram_bits} bits, as sdram_bits of the "
                             f"build, not {self.chip.data_bits}")
        width, depth = memories_of(params)[Window.WEIGHTS]
        self.controller = Sdram(chip=self.chip, width=width, depth=depth, mhz=mhz)
        signature = self.accelerator.signature.members
        super().__init__({
            **{name: signature[name] for name in ("commands", "o", "done")},
            "clear": In(1),
            "sdram": Out(sdram_pins(self.chip)),
        })

    def elaborate(self, platform):
        m = Module()
        accelerator, controller = self.accelerator, self.controller
        m.submodules.accelerator = accelerator
        m.submodules.sdram = controller
        for name in ("commands", "o"):
            connect(m, flipped(getattr(self, name)), getattr(accelerator, name))
        connect(m, accelerator.outer.read, controller.read)
        connect(m, accelerator.outer.write, controller.write)
        connect(m, controller.pins, flipped(self.sdram))
        m.d.comb += [accelerator.clear.eq(self.clear), self.done.eq(accelerator.done),
                     controller.drop.eq(accelerator.drop | self.clear)]
        return m
