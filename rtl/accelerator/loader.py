from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.registers import Error
from rtl.memory import BlockRam

__all__ = ["Loader"]


class Loader(wiring.Component):
    """Reads descriptors from the program's memory, one after the other.

    A descriptor of ``n`` words is there ``n + 1`` cycles after it was asked for.

    Parameters
    ----------
    words : :class:`int`
        Words of 32 bits in a descriptor.
    depth : :class:`int`
        Words of the memory.

    Members
    -------
    write_en, write_addr, write_data : ``In``
        For the host.
    go, address : ``In(1)``, ``In(32)``
        Load the descriptor at that word.
    next : ``In(1)``
        Load the one behind that.
    there : ``Out(1)``
        It is loaded; until the next is asked for.
    error : ``Out(Error)``
        It lies beyond the memory.
    o : ``Out(32 * words)``
        Holds while ``there`` is high, and after it until the next is asked for.
    """

    def __init__(self, *, words, depth):
        self.words, self.depth = words, depth
        super().__init__({
            "write_en": In(1),
            "write_addr": In(range(depth)),
            "write_data": In(32),
            "go": In(1),
            "address": In(32),
            "next": In(1),
            "there": Out(1),
            "error": Out(Error),
            "o": Out(32 * words),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockRam(width=32, depth=self.depth)
        address = Signal(range(self.depth + 1))
        asked, came = Signal(range(self.words)), Signal(range(self.words))
        asking, coming = Signal(), Signal()
        beyond = address == self.depth
        m.d.comb += [
            memory.write_en.eq(self.write_en),
            memory.write_addr.eq(self.write_addr),
            memory.write_data.eq(self.write_data),
            memory.read_en.eq(1),
            memory.read_addr.eq(address),
        ]
        m.d.sync += coming.eq(asking & ~beyond)
        with m.If(asking):
            with m.If(beyond):
                m.d.sync += [asking.eq(0), self.error.eq(Error.PROGRAM)]
            with m.Else():
                m.d.sync += [address.eq(address + 1), asked.eq(asked + 1)]
                with m.If(asked == self.words - 1):
                    m.d.sync += asking.eq(0)
        with m.If(coming):
            m.d.sync += [self.o.eq(Cat(self.o[32:], memory.read_data)), came.eq(came + 1)]
            with m.If(came == self.words - 1):
                m.d.sync += self.there.eq(1)
        with m.If(self.next | self.go):
            m.d.sync += [asking.eq(1), asked.eq(0), came.eq(0), coming.eq(0), self.there.eq(0)]
        with m.If(self.go):
            m.d.sync += [address.eq(self.address), self.error.eq(Error.NONE)]
            with m.If(self.address >= self.depth):
                m.d.sync += [asking.eq(0), self.error.eq(Error.GO)]
        return m
