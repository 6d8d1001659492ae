# Ref: OpenCores, WISHBONE B4: chapter 3, classic cycles

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.registers import ADDRESS_BITS
from rtl.bus.registers import Request, Response

__all__ = ["PORTS", "Wishbone"]

#: Signals of the target.
PORTS = {"cyc": In(1), "stb": In(1), "we": In(1), "adr": In(ADDRESS_BITS), "sel": In(4),
         "dat_w": In(32), "dat_r": Out(32), "ack": Out(1), "err": Out(1)}


class Wishbone(wiring.Component):
    """A Wishbone B4 target of 32-bit words, in classic cycles, for
    :class:`~rtl.bus.access.Access`.

    Addresses count words. ``stb``, and all that goes with it, must hold until ``ack`` or ``err``,
    which last a cycle; accesses that are refused get ``err``. An initiator that ends a cycle early
    gets neither, though its access may be carried out. A read may have any ``sel``.

    ``ack`` and ``err`` depend combinationally on ``cyc`` and ``stb``.

    Members
    -------
    cyc, stb, we, adr, sel, dat_w, dat_r, ack, err : as of :data:`PORTS`
    requests, responses : ``Out(stream.Signature(Request))``, ``In(stream.Signature(Response))``
    """

    def __init__(self):
        super().__init__({
            **PORTS,
            "requests": Out(stream.Signature(Request)),
            "responses": In(stream.Signature(Response)),
        })

    def elaborate(self, platform):
        m = Module()
        active, request = self.cyc & self.stb, self.requests.payload
        asking, ended, gone, error = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.requests.valid.eq(asking), self.responses.ready.eq(asking),
            self.ack.eq(ended & ~gone & active & ~error),
            self.err.eq(ended & ~gone & active & error),
        ]
        m.d.sync += ended.eq(0)
        with m.If(asking):
            m.d.sync += [error.eq(self.responses.payload.error),
                         self.dat_r.eq(self.responses.payload.data)]
            with m.If(~active):
                m.d.sync += gone.eq(1)
            with m.If(self.responses.valid):
                m.d.sync += [asking.eq(0), ended.eq(1)]
        with m.Elif(~ended & active):
            m.d.sync += [asking.eq(1), gone.eq(0), request.write.eq(self.we),
                         request.whole.eq(self.sel.all()), request.address.eq(self.adr),
                         request.data.eq(self.dat_w)]
        return m
