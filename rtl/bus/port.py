from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator import AcceleratorParams
from rtl.bus import axi_lite, wishbone
from rtl.bus.access import Access
from rtl.bus.arbiter import CommandArbiter
from rtl.bus.axi_lite import AxiLite
from rtl.bus.registers import Command
from rtl.bus.streams import IN, OUT, Inlet, Outlet
from rtl.bus.wishbone import Wishbone
from rtl.validate import of_type, one_of

__all__ = ["BUSES", "BusPort"]

#: By name: the component that is the target, and its members.
BUSES = {"axi": (AxiLite, axi_lite.CHANNELS), "wishbone": (Wishbone, wishbone.PORTS)}


class BusPort(wiring.Component):
    """From a bus, and streams for bulk data, to an accelerator's commands, and back.

    Addresses are those of ``docs/registers.md``. :class:`~rtl.bus.access.Access` documents which
    accesses are refused, and when.

    Parameters
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`
    bus : ``"axi"`` or ``"wishbone"``

    Members
    -------
    aw, w, b, ar, r : as of :class:`~rtl.bus.axi_lite.AxiLite`
        With ``bus="axi"``.
    cyc, stb, we, adr, sel, dat_w, dat_r, ack, err : as of :class:`~rtl.bus.wishbone.Wishbone`
        With ``bus="wishbone"``.
    i : as of :data:`~rtl.bus.streams.IN`
        Words to a memory, one a cycle.
    o : as of :data:`~rtl.bus.streams.OUT`
        Words from a memory: each takes three cycles and the latency of an answer, 6 in all if the
        memory does not stall.
    commands, answers : ``Out(stream.Signature(Command))``, ``In(stream.Signature(32))``
        As ``commands`` and ``o`` of :class:`~rtl.accelerator.Accelerator`.
    done : ``In(1)``
        Nothing runs.
    irq : ``Out(1)``
        A run has ended; holds until it is cleared by a register.
    """

    def __init__(self, params, *, bus="axi"):
        self.params = of_type("params", params, AcceleratorParams)
        if params.sdram_bits:
            raise ValueError("a bus has no pins for SDRAM: sdram_bits must be 0, not "
                             f"{params.sdram_bits}")
        self.bus = one_of("bus", bus, BUSES)
        super().__init__({
            **BUSES[bus][1],
            "i": IN,
            "o": OUT,
            "commands": Out(stream.Signature(Command)),
            "answers": In(stream.Signature(32)),
            "done": In(1),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        make, members = BUSES[self.bus]
        m.submodules.target = target = make()
        m.submodules.access = access = Access(self.params)
        m.submodules.arbiter = arbiter = CommandArbiter()
        m.submodules.inlet = inlet = Inlet()
        m.submodules.outlet = outlet = Outlet()
        for name, member in members.items():
            inner, outer = getattr(target, name), getattr(self, name)
            if member.is_signature:
                ends = (flipped(outer), inner) if member.flow == In else (inner, flipped(outer))
                connect(m, *ends)
            else:
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        connect(m, target.requests, access.requests)
        connect(m, access.responses, target.responses)
        connect(m, access.commands, arbiter.bus)
        connect(m, arbiter.answers, access.answers)
        connect(m, access.inlet, inlet.transfer)
        connect(m, access.outlet, outlet.transfer)
        connect(m, flipped(self.i), inlet.i)
        connect(m, inlet.writes, arbiter.writes)
        connect(m, outlet.reads, arbiter.reads)
        connect(m, arbiter.words, outlet.words)
        connect(m, outlet.o, flipped(self.o))
        connect(m, arbiter.commands, flipped(self.commands))
        connect(m, flipped(self.answers), arbiter.o)
        m.d.comb += [access.done.eq(self.done), arbiter.done.eq(self.done),
                     self.irq.eq(access.irq)]
        return m
