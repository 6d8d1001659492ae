from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.port import memory_port

__all__ = ["Arbiter"]


class Arbiter(wiring.Component):
    """Lets several clients reach one memory, the first of those that ask at a time.

    Nothing is delayed. ``ready`` of a client depends combinationally on ``valid`` of those before
    it, and on that of the memory.

    Parameters
    ----------
    clients : dict
        Parts of a word that each client can write (0: it only reads), by name; those before others
        go first.
    address_bits, width : :class:`int`
    latency : :class:`int`
        Cycles in which the memory delivers a word, always.

    Members
    -------
    memory : ``Out(memory_port(...))``
    (client) : ``In(memory_port(...))``
    """

    def __init__(self, clients, *, address_bits, width, latency):
        self.clients, self.latency = dict(clients), latency
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
        # Nobody cares for the address if none of them asks.
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
        # Who reads does not care what would be written.
        writers = [getattr(self, name).requests for name, parts in self.clients.items() if parts]
        written = writers[-1].payload.data if writers else Const(0)
        for request in reversed(writers[:-1]):
            written = Mux(request.valid, request.payload.data, written)
        m.d.comb += to.payload.data.eq(written)
        m.d.comb += to.valid.eq(earlier)
        return m
