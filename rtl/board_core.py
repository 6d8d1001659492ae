# amaranth: UnusedElaboratable=no
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator import Accelerator, AcceleratorParams, SdramAccelerator
from rtl.check import integer, one_of
from rtl.link import Link, SpiTarget, UartRx, UartTx

__all__ = ["BoardCore"]


class BoardCore(wiring.Component):
    """All that goes into a board's FPGA but its clock and its pins: an accelerator and its link.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
    link : ``"uart"`` or ``"spi"``
    divisor : :class:`int`
        Clocks of a bit of the UART; see :func:`rtl.link.divisor_of`.
    chip, mhz : as of :class:`~rtl.accelerator.SdramAccelerator`
        If the weights lie in SDRAM.

    Members
    -------
    rx, tx : ``In(1)``, ``Out(1)``
        With ``link="uart"``.
    sck, cs, sdi, sdo : as of :class:`~rtl.link.SpiTarget`
        With ``link="spi"``.
    done : ``Out(1)``
        Nothing runs.
    linked : ``Out(1)``
        A host has said hello since the reset.
    sdram : ``Out(sdram_pins(chip))``
        If the weights lie there; between these and the pins lies one register each way.
    """

    def __init__(self, params, *, link="uart", divisor=8, chip=None, mhz=90):
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        self.params = params
        self.link = one_of("link", link, ("uart", "spi"))
        self.divisor = integer("divisor", divisor, 4, 1 << 16)
        pins = {"rx": In(1, init=1), "tx": Out(1, init=1)} if link == "uart" else {
            "sck": In(1), "cs": In(1, init=1), "sdi": In(1), "sdo": Out(1)}
        if params.sdram_bits:
            self.accelerator = SdramAccelerator(params, chip=chip, mhz=mhz)
            self.chip, self.mhz = self.accelerator.chip, mhz
            pins["sdram"] = self.accelerator.signature.members["sdram"]
        else:
            self.accelerator = Accelerator(params)
        super().__init__({**pins, "done": Out(1), "linked": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = Link()
        m.submodules.accelerator = accelerator = self.accelerator
        if self.params.sdram_bits:
            connect(m, accelerator.sdram, flipped(self.sdram))
        connect(m, link.commands, accelerator.commands)
        connect(m, accelerator.o, link.answers)
        m.d.comb += [accelerator.clear.eq(link.clear), link.done.eq(accelerator.done),
                     self.done.eq(accelerator.done),
                     self.linked.eq(link.linked)]
        if self.link == "uart":
            m.submodules.rx = rx = UartRx(divisor=self.divisor)
            m.submodules.tx = tx = UartTx(divisor=self.divisor)
            m.d.comb += [rx.pin.eq(self.rx), self.tx.eq(tx.pin)]
            connect(m, rx.o, link.i)
            connect(m, link.o, tx.i)
        else:
            m.submodules.spi = spi = SpiTarget()
            m.d.comb += [spi.sck.eq(self.sck), spi.cs.eq(self.cs), spi.sdi.eq(self.sdi),
                         self.sdo.eq(spi.sdo)]
            connect(m, spi.o, link.i)
            connect(m, link.o, spi.i)
        return m
