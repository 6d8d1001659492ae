# Ref: Arm IHI 0022, AMBA AXI and ACE Protocol Specification: AXI4-Lite

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.registers import ADDRESS_BITS
from rtl.bus.registers import Request, Response

__all__ = ["CHANNELS", "AxiLite"]

#: Bits that count bytes within a word; they are ignored.
BYTE_BITS = 2

#: Bits of the privileges of an access, which are ignored too.
PROT_BITS = 3

OKAY, SLVERR = 0, 2

_ADDRESS = data.StructLayout({"addr": BYTE_BITS + ADDRESS_BITS, "prot": PROT_BITS})

#: A stream each, with its signals as fields of the payload.
CHANNELS = {
    "aw": In(stream.Signature(_ADDRESS)),
    "w": In(stream.Signature(data.StructLayout({"data": 32, "strb": 4}))),
    "b": Out(stream.Signature(data.StructLayout({"resp": 2}))),
    "ar": In(stream.Signature(_ADDRESS)),
    "r": Out(stream.Signature(data.StructLayout({"data": 32, "resp": 2}))),
}


class AxiLite(wiring.Component):
    """An AXI4-Lite target of 32-bit words, for :class:`~rtl.bus.access.Access`.

    Addresses count bytes. A write's address and data are taken in any order. One write and one read
    at a time are pending, and they take turns, so that neither waits for a response that the other
    cannot deliver. Accesses that are refused get SLVERR.

    No output depends combinationally on an input of the bus.

    Members
    -------
    aw, w, b, ar, r : as of :data:`CHANNELS`
    requests, responses : ``Out(stream.Signature(Request))``, ``In(stream.Signature(Response))``
    """

    def __init__(self):
        super().__init__({
            **CHANNELS,
            "requests": Out(stream.Signature(Request)),
            "responses": In(stream.Signature(Response)),
        })

    def elaborate(self, platform):
        m = Module()
        held = {}
        for name in ("aw", "w", "ar"):
            channel = getattr(self, name)
            payload = Signal(channel.payload.shape(), name=f"{name}_held", reset_less=True)
            held[name] = full, _ = Signal(name=f"{name}_full"), payload
            m.d.comb += channel.ready.eq(~full)
            with m.If(channel.valid & channel.ready):
                m.d.sync += [full.eq(1), payload.eq(channel.payload)]
        for channel in (self.b, self.r):
            with m.If(channel.ready):
                m.d.sync += channel.valid.eq(0)

        (aw_full, aw), (w_full, w), (ar_full, ar) = (held[name] for name in ("aw", "w", "ar"))
        write, request = Signal(), self.requests.payload
        writes = aw_full & w_full & ~self.b.valid
        reads = ar_full & ~self.r.valid
        m.d.comb += [
            request.write.eq(write),
            request.whole.eq(~write | w.strb.all()),
            request.address.eq(Mux(write, aw.addr, ar.addr)[BYTE_BITS:]),
            request.data.eq(Mux(write, w.data, 0)),  # another may come during a read
        ]
        resp = Mux(self.responses.payload.error, SLVERR, OKAY)
        with m.FSM():
            with m.State("CHOOSE"):
                # They take turns: the access that was done has just left its buffer.
                m.d.sync += write.eq(writes)
                with m.If(writes | reads):
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += [self.requests.valid.eq(Mux(write, writes, reads)),
                             self.responses.ready.eq(1)]
                with m.If(self.responses.valid):
                    m.next = "CHOOSE"
                    with m.If(write):
                        m.d.sync += [aw_full.eq(0), w_full.eq(0), self.b.valid.eq(1),
                                     self.b.payload.resp.eq(resp)]
                    with m.Else():
                        m.d.sync += [ar_full.eq(0), self.r.valid.eq(1),
                                     self.r.payload.resp.eq(resp),
                                     self.r.payload.data.eq(self.responses.payload.data)]
        return m
