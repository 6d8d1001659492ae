from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.port import memory_port
from rtl.validate import divisor, integer, of_type

__all__ = ["Arbiter"]


class Arbiter(wiring.Component):
    """Lets several clients share one memory, by fixed priority.

    It adds no latency. ``ready`` of a client depends combinationally on ``valid`` of those with a
    higher priority, and on ``ready`` of the memory.

    Parameters
    ----------
    clients : dict
        For each client, by name: the parts of a word that it can write, 0 if it only reads. The
        first has the highest priority.
    address_bits, width : :class:`int`
    latency : :class:`int`
        The memory's latency, which must be constant.

    Members
    -------
    memory : ``Out(memory_port(...))``
    (client) : ``In(memory_port(...))``
    """

    def __init__(self, clients, *, address_bits, width, latency):
        if not of_type("clients", clients, dict, "a dict"):
            raise ValueError("clients must name at least one, not {}")
        address_bits = integer("address_bits", address_bits, 0, 32)
        width = integer("width", width, 1, 4096)
        self.clients = {}
        for name, parts in clients.items():
            parts = integer(f"clients[{name!r}]", parts, 0, width)
            self.clients[name] = parts and divisor(f"clients[{name!r}]", parts, width, "bits")
        self.latency = integer("latency", latency, 1, 16)
        self.parts = max(self.clients.values())
        super().__init__({
            "memory": Out(memory_port(address_bits, width, self.parts)),
            **{name: In(memory_port(address_bits, width, parts))
               for name, parts in self.clients.items()},
        })

    def elaborate(self, platform):
        m = Module()
        to, earlier = self.memory.requests, Const(0)
        requests = [getattr(self, name).requests for name in self.clients]
        # The address is of no account if no client asks.
        address = requests[-1].payload.address
        for request in reversed(requests[:-1]):
            address = Mux(request.valid, request.payload.address, address)
        m.d.comb += to.payload.address.eq(address)
        for name, parts in self.clients.items():
            client = getattr(self, name)
            request, mine = client.requests, Signal(name=f"{name}_goes")
            m.d.comb += [
                mine.eq(request.valid & ~earlier),
                request.ready.eq(to.ready & ~earlier),
                client.words.payload.eq(self.memory.words.payload),
            ]
            if parts:
                with m.If(mine):
                    m.d.comb += to.payload.mask.eq(request.payload.mask)
            reads = mine & to.ready & (request.payload.mask == 0 if parts else 1)
            for _ in range(self.latency):
                late = Signal(name=f"{name}_reads", init=0)
                m.d.sync += late.eq(reads)
                reads = late
            m.d.comb += client.words.valid.eq(reads)
            earlier = earlier | request.valid
        # The data are of no account in a read.
        writers = [getattr(self, name).requests for name, parts in self.clients.items() if parts]
        written = writers[-1].payload.data if writers else Const(0)
        for request in reversed(writers[:-1]):
            written = Mux(request.valid, request.payload.data, written)
        m.d.comb += to.payload.data.eq(written)
        m.d.comb += to.valid.eq(earlier)
        return m
