from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.accelerator.registers import OFFSET_BITS, Error
from rtl.memory import memory_port
from rtl.validate import integer

__all__ = ["DescriptorLoader"]


class DescriptorLoader(wiring.Component):
    """Reads descriptors from the program memory, one after the other.

    A descriptor of ``n`` words is loaded ``n + 1`` cycles after it was requested, if the memory has
    a latency of one cycle and never stalls.

    Parameters
    ----------
    words : :class:`int`
        Words of 32 bits in a descriptor.
    depth : :class:`int`
        Words of the memory.
    kept : :class:`int`
        Words of a descriptor, its last ones, that are held in registers.

    Members
    -------
    port : ``Out(memory_port(...))``
    go, address : ``In(1)``, ``In(32)``
        Load the descriptor at that word.
    next : ``In(1)``
        Load the one behind that.
    there : ``Out(1)``
        It is loaded; until the next one is requested.
    error : ``Out(Error)``
        It lies beyond the memory.
    o : ``Out(32 * kept)``
        The last words. Holds from ``there`` on until the next descriptor is requested.
    comes, number, word : ``Out``
        A word comes in this cycle; its index in the descriptor.
    """

    def __init__(self, *, words, depth, kept):
        self.words = words = integer("words", words, 1, 1024)
        self.depth = integer("depth", depth, 2, 1 << OFFSET_BITS)
        kept = integer("kept", kept, 1, words)
        super().__init__({
            "port": Out(memory_port(ceil_log2(self.depth), 32)),
            "go": In(1),
            "address": In(32),
            "next": In(1),
            "there": Out(1),
            "error": Out(Error),
            "o": Out(32 * kept),
            "comes": Out(1),
            "number": Out(range(words)),
            "word": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        request, word = self.port.requests, self.port.words
        address = Signal(range(self.depth + 1))
        asked, came = Signal(range(self.words + 1)), Signal(range(self.words + 1))
        asking, comes = Signal(), self.comes
        beyond = address == self.depth
        m.d.comb += [
            request.valid.eq(asking & ~beyond),
            request.payload.address.eq(address),
            comes.eq(word.valid & (came != asked)),  # words requested before a go are dropped
            self.number.eq(came),
            self.word.eq(word.payload),
        ]
        with m.If(asking & beyond):
            m.d.sync += [asking.eq(0), self.error.eq(Error.PROGRAM)]
        with m.If(request.valid & request.ready):
            m.d.sync += [address.eq(address + 1), asked.eq(asked + 1)]
            with m.If(asked == self.words - 1):
                m.d.sync += asking.eq(0)
        with m.If(comes):
            m.d.sync += [self.o.eq(Cat(self.o[32:], word.payload)), came.eq(came + 1)]
            with m.If(came == self.words - 1):
                m.d.sync += self.there.eq(1)
        with m.If(self.next | self.go):
            m.d.sync += [asking.eq(1), asked.eq(0), came.eq(0), self.there.eq(0)]
        with m.If(self.go):
            m.d.sync += [address.eq(self.address), self.error.eq(Error.NONE)]
            with m.If(self.address >= self.depth):
                m.d.sync += [asking.eq(0), self.error.eq(Error.GO)]
        return m
