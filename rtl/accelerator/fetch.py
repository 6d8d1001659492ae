from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.walker import Walker
from rtl.layouts import bytes_of

__all__ = ["Fetch", "fetched_of"]

#: Loops of a fetch: enough for the cells of a window, the words of a pixel, and two axes.
DIMS = 5


def fetched_of(word_bytes):
    """Layout of a word from the activation memory, and which loops are over with it."""
    return data.StructLayout({"data": bytes_of(word_bytes), "over": DIMS})


class Fetch(wiring.Component):
    """Reads words of activations in the order of up to five nested loops; one a cycle.

    Parameters
    ----------
    memory : :class:`ActivationMemory`
        Whose read port this drives while ``busy``.
    count_bits : :class:`int`

    Members
    -------
    config, init : as of :class:`Walker`; addresses are those of words
    busy : ``Out(1)``
        From ``init`` until the last word is taken.
    outside : ``Out(1)``
        The address of now is outside the memory.
    read_en, read_addr, read_data : the memory's read port, from the other side
    o : ``Out(stream.Signature(fetched_of(word_bytes)))``
    """

    def __init__(self, memory, *, count_bits):
        self.latency = memory.latency
        address = memory.signature.members["read_addr"].shape
        self.walker = Walker(dims=DIMS, address_bits=Shape.cast(address).width,
                             count_bits=count_bits)
        super().__init__({
            "config": In(self.walker.config_layout),
            "init": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "read_en": Out(1),
            "read_addr": Out(address),
            "read_data": In(bytes_of(memory.word_bytes)),
            "o": Out(stream.Signature(fetched_of(memory.word_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = self.walker
        advance = Signal()
        m.d.comb += [
            walker.config.eq(self.config),
            walker.init.eq(self.init),
            advance.eq(~self.o.valid | self.o.ready),
            walker.o.ready.eq(advance),
            self.read_en.eq(advance),
            self.read_addr.eq(walker.o.payload.address),
            self.outside.eq(walker.o.valid & walker.o.payload.outside),
        ]
        order = data.StructLayout({"valid": 1, "over": DIMS})
        orders = [Signal(order, name=f"order_{n}") for n in range(self.latency + 1)]
        m.d.comb += [orders[0].valid.eq(walker.o.valid),
                     orders[0].over.eq(walker.o.payload.over)]
        with m.If(advance):
            m.d.sync += [after.eq(before)
                         for before, after in zip(orders, orders[1:], strict=False)]
            m.d.sync += [
                self.o.valid.eq(orders[-1].valid),
                self.o.payload.over.eq(orders[-1].over),
                self.o.payload.data.eq(self.read_data),
            ]
        m.d.comb += self.busy.eq(Cat(self.o.valid, *(order.valid for order in orders)).any())
        return m
