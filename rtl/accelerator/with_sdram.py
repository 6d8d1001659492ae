# amaranth: UnusedElaboratable=no
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator.accelerator import Accelerator
from rtl.accelerator.memories import memories_of
from rtl.accelerator.registers import Window
from rtl.memory.sdram import Sdram, SdramChip, chip_of, sdram_pins

__all__ = ["SdramAccelerator"]


class SdramAccelerator(wiring.Component):
    """An :class:`Accelerator` whose weights lie in SDRAM, with the controller of that.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
        With ``sdram_bits``.
    chip : :class:`SdramChip` or None
        Of as many bits; left out, any such.
    mhz : number
        Clock.

    Members
    -------
    commands, o, done : as of :class:`Accelerator`
    clear : ``In(1)``
        Begin anew, but for the SDRAM, which goes on.
    sdram : ``Out(sdram_pins(chip))``
    """

    def __init__(self, params, *, chip=None, mhz=90):
        self.accelerator = Accelerator(params)
        self.params, self.mhz = params, mhz
        if not params.sdram_bits:
            raise ValueError("params must say in sdram_bits that weights lie in SDRAM")
        self.chip = chip_of(params.sdram_bits) if chip is None else chip
        if not isinstance(self.chip, SdramChip):
            raise TypeError(f"chip must be an SdramChip, not {chip!r}")
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
