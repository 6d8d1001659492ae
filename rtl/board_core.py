# amaranth: UnusedElaboratable=no
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator import Accelerator, AcceleratorParams, SdramAccelerator
from rtl.boot import MAX_OFFSET, Boot, flash_pins
from rtl.link import Link, SpiTarget, UartRx, UartTx
from rtl.link.uart import MAX_DIVISOR, MIN_DIVISOR
from rtl.memory.sdram import SdramChip
from rtl.validate import integer, number, of_type, one_of

__all__ = ["BoardCore"]


class BoardCore(wiring.Component):
    """The design in a board's FPGA without clocks and pins: an accelerator and its link.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
    link : ``"uart"`` or ``"spi"``
    divisor : :class:`int`
        Clocks of a bit of the UART; see :func:`rtl.link.divisor_of`.
    chip : as of :class:`~rtl.accelerator.SdramAccelerator`
        If the weights lie in SDRAM; ignored otherwise.
    mhz : number
        Clock frequency.
    boot : :class:`int` or None
        Address in the board's flash from which a program, if there is one, is loaded at power-up.

    Members
    -------
    rx, tx : ``In(1)``, ``Out(1)``
        With ``link="uart"``.
    sck, cs, sdi, sdo : as of :class:`~rtl.link.SpiTarget`
        With ``link="spi"``.
    done : ``Out(1)``
        Nothing runs.
    linked : ``Out(1)``
        A host has sent ``HELLO`` since the reset.
    sdram : ``Out(sdram_pins(chip))``
        If the weights lie there; there is to be one register each way between these and the pins.
    flash : ``Out(flash_pins())``
        With ``boot``.
    """

    def __init__(self, params, *, link="uart", divisor=8, chip=None, mhz=90, boot=None):
        self.params = of_type("params", params, AcceleratorParams)
        self.link = one_of("link", link, ("uart", "spi"))
        self.divisor = integer("divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        self.mhz = number("mhz", mhz, 1, 1000)
        if chip is not None:
            of_type("chip", chip, SdramChip, "an SdramChip")
        pins = {"rx": In(1, init=1), "tx": Out(1, init=1)} if link == "uart" else {
            "sck": In(1), "cs": In(1, init=1), "sdi": In(1), "sdo": Out(1)}
        if params.sdram_bits:
            self.accelerator = SdramAccelerator(params, chip=chip, mhz=mhz)
            self.chip = self.accelerator.chip
            pins["sdram"] = self.accelerator.signature.members["sdram"]
        else:
            self.accelerator = Accelerator(params)
        self.boot = None if boot is None else Boot(
            offset=integer("boot", boot, 0, MAX_OFFSET), mhz=mhz)
        if self.boot:
            pins["flash"] = Out(flash_pins())
        super().__init__({**pins, "done": Out(1), "linked": Out(1)})

    def elaborate(self, platform):
        m = Module()
        link = Link()
        m.submodules.accelerator = accelerator = self.accelerator
        if self.params.sdram_bits:
            connect(m, accelerator.sdram, flipped(self.sdram))
        done = accelerator.done
        connect(m, link.commands, accelerator.commands)
        connect(m, accelerator.o, link.answers)
        if self.link == "uart":
            m.submodules.rx = rx = UartRx(divisor=self.divisor)
            m.submodules.tx = tx = UartTx(divisor=self.divisor)
            m.d.comb += [rx.pin.eq(self.rx), self.tx.eq(tx.pin)]
            source, target = rx.o, tx.i
        else:
            m.submodules.spi = spi = SpiTarget()
            m.d.comb += [spi.sck.eq(self.sck), spi.cs.eq(self.cs), spi.sdi.eq(self.sdi),
                         self.sdo.eq(spi.sdo)]
            source, target = spi.o, spi.i
        if self.boot:
            done &= ~self._connect_boot(m, link, source, target)
        else:
            m.submodules.link = link
            connect(m, source, link.i)
            connect(m, link.o, target)
        m.d.comb += [accelerator.clear.eq(link.clear), link.done.eq(done), self.done.eq(done),
                     self.linked.eq(link.linked)]
        return m

    def _connect_boot(self, m, link, source, target):
        """At first bytes come from the flash, and answers are discarded. Then the link is reset, so
        that no host continues the session of the flash. Returns whether that is still to come."""
        m.submodules.boot = boot = self.boot
        m.submodules.link = ResetInserter(boot.leaves)(link)
        connect(m, boot.flash, flipped(self.flash))
        m.d.comb += [link.i.valid.eq(source.valid), link.i.payload.eq(source.payload),
                     source.ready.eq(link.i.ready),
                     target.valid.eq(link.o.valid), target.payload.eq(link.o.payload),
                     link.o.ready.eq(target.ready)]
        with m.If(boot.busy):
            m.d.comb += [link.i.valid.eq(boot.o.valid), link.i.payload.eq(boot.o.payload),
                         boot.o.ready.eq(link.i.ready), source.ready.eq(1),
                         target.valid.eq(0), link.o.ready.eq(1)]
        return boot.busy
