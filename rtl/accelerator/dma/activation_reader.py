from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator.dma.address_generator import AddressGenerator
from rtl.layouts import bytes_of
from rtl.memory import Reader
from rtl.validate import integer, power_of_two

__all__ = ["ActivationReader", "tensor_word"]

#: Depth of the loop nest: the cells of a window (two), the words of a pixel, and two axes.
DIMS = 5


def tensor_word(word_bytes):
    """Layout of a word of a tensor, and which loops end with it."""
    return data.StructLayout({"data": bytes_of(word_bytes), "over": DIMS})


class ActivationReader(wiring.Component):
    """Reads words of activations in the order of up to five nested loops: one a cycle, if there are
    enough ``slots``.

    Parameters
    ----------
    address_bits, slots, direct
        As of :class:`Reader`.
    word_bytes : :class:`int`
        Bytes of a word; a power of two.
    count_bits : :class:`int`
        As of :class:`AddressGenerator`.

    Members
    -------
    config, init : as of :class:`AddressGenerator`; addresses are those of words
    outside : ``Out(1)``
        The current address is outside the memory.
    port : ``Out(memory_port(...))``
    o : ``Out(stream.Signature(tensor_word(word_bytes)))``
    """

    def __init__(self, *, address_bits, word_bytes, slots, direct=False, count_bits):
        address_bits = integer("address_bits", address_bits, 1, 32)
        word_bytes = power_of_two("word_bytes", word_bytes, 1, 64)
        self.addresses = AddressGenerator(dims=DIMS, address_bits=address_bits,
                                          count_bits=count_bits)
        self.reader = Reader(address_bits=address_bits, width=8 * word_bytes, slots=slots,
                             direct=direct, tag=DIMS)
        super().__init__({
            "config": In(self.addresses.config_layout),
            "init": In(1),
            "outside": Out(1),
            "port": Out(self.reader.port.signature),
            "o": Out(stream.Signature(tensor_word(word_bytes))),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = self.addresses
        m.submodules.reader = reader = self.reader
        place = walker.o.payload
        connect(m, reader.port, flipped(self.port))
        m.d.comb += [
            walker.config.eq(self.config),
            walker.init.eq(self.init),
            self.outside.eq(walker.o.valid & place.outside),
            reader.i.valid.eq(walker.o.valid),
            reader.i.payload.address.eq(place.address),
            reader.i.payload.tag.eq(place.over),
            walker.o.ready.eq(reader.i.ready),
            self.o.valid.eq(reader.o.valid),
            self.o.payload.data.eq(reader.o.payload.data),
            self.o.payload.over.eq(reader.o.payload.tag),
            reader.o.ready.eq(self.o.ready),
        ]
        return m
