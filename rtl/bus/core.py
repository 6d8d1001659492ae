from functools import reduce

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from rtl.accelerator import Accelerator
from rtl.bus.port import BUSES, BusPort
from rtl.bus.streams import IN, OUT

__all__ = ["BusAccelerator"]

#: Descriptions of ports.
MEANINGS = {
    "s_axi_awaddr": "AXI4-Lite: byte address, 4 times that in docs/registers.md",
    "s_axi_awprot": "ignored",
    "s_axi_wstrb": "bytes to write: all four, or SLVERR",
    "s_axi_bresp": "0 OKAY, 2 SLVERR: refused",
    "s_axi_araddr": "byte address of a read",
    "s_axi_arprot": "ignored",
    "s_axi_rresp": "0 OKAY, 2 SLVERR: refused",
    "wb_cyc": "Wishbone B4, classic cycles",
    "wb_stb": "an access; all inputs hold until ack or err",
    "wb_we": "the access is a write",
    "wb_adr": "address of a word, as in docs/registers.md",
    "wb_sel": "bytes: a write of fewer than all four gets err",
    "wb_ack": "done; for a cycle",
    "wb_err": "refused; for a cycle",
    "s_axis_tdata": "AXI4-Stream: a word to a memory",
    "m_axis_tdata": "AXI4-Stream: a word from a memory",
    "m_axis_tlast": "the word is the last of a transfer",
}
RUN = {"done": "nothing runs", "irq": "a run has ended; holds until it is cleared"}
HANDSHAKE = {"valid": "the payload is there", "ready": "the payload is taken"}


class BusAccelerator(wiring.Component):
    """An :class:`~rtl.accelerator.Accelerator` behind a :class:`~rtl.bus.port.BusPort`, with ports
    by the names that other tools expect.

    Parameters
    ----------
    params, bus : as of :class:`~rtl.bus.port.BusPort`

    Attributes
    ----------
    meanings : :class:`dict`
        Descriptions of ports, by their names.

    Members
    -------
    s_axi_awaddr, s_axi_awvalid, s_axi_awready and so on
        AXI4-Lite, with ``bus="axi"``.
    wb_cyc, wb_stb and so on
        Wishbone, with ``bus="wishbone"``.
    s_axis_tdata and so on, m_axis_tdata and so on
        ``i`` and ``o`` of the port, AXI4-Stream. All bytes count; frames that come in may have any
        length.
    done : ``Out(1)``
        Nothing runs.
    irq : ``Out(1)``
        A run has ended; holds until it is cleared by a register.
    """

    def __init__(self, params, *, bus="axi"):
        self._port = BusPort(params, bus=bus)
        self.params, self.bus = params, bus
        self._paths = {}  # to each port's counterpart
        self.meanings, ports = {}, {}
        for name, member, path in _flat(bus):
            ports[name], self._paths[name] = member, path
            if path[-1] in HANDSHAKE:
                self.meanings[name] = HANDSHAKE[path[-1]]
        self.meanings |= {name: text for name, text in MEANINGS.items() if name in ports} | RUN
        super().__init__({**ports, "done": Out(1), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = accelerator = Accelerator(self.params)
        m.submodules.bus = port = self._port
        connect(m, port.commands, accelerator.commands)
        connect(m, accelerator.o, port.answers)
        m.d.comb += [port.done.eq(accelerator.done), self.done.eq(accelerator.done),
                     self.irq.eq(port.irq)]
        for name, path in self._paths.items():
            outer, inner = getattr(self, name), reduce(getattr, path, port)
            inwards = self.signature.members[name].flow == In
            m.d.comb += inner.eq(outer) if inwards else outer.eq(inner)
        return m


def _flat(bus):
    """Ports by AMBA's or Wishbone's names: name, member, and the path of its counterpart."""
    prefix = "s_axi_" if bus == "axi" else "wb_"
    for start, name, member in (
            *((f"{prefix}{name}", name, member) for name, member in BUSES[bus][1].items()),
            ("s_axis_t", "i", IN), ("m_axis_t", "o", OUT)):
        if member.is_port:
            yield start, member, (name,)
            continue
        yield f"{start}valid", member.flow(1), (name, "valid")
        yield f"{start}ready", member.flow.flip()(1), (name, "ready")
        for field, layout in member.signature.members["payload"].shape:
            yield f"{start}{field}", member.flow(layout.shape), (name, "payload", field)
