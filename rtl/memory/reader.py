from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.port import memory_port
from rtl.validate import boolean, integer, power_of_two

__all__ = ["Reader"]


class Reader(wiring.Component):
    """Reads words at addresses that come as a stream, and hands them on as a stream.

    A word is offered the cycle after the memory delivered it or, with ``direct``, in that very
    cycle: then ``o`` depends combinationally on ``port.words``. A throughput of a word a cycle
    takes two ``slots`` more than the memory's latency, or one more with ``direct``.

    With no slots nothing is buffered: a word is requested only while ``o.ready`` is high, which
    must then stay high until a word is taken, and is offered as the memory delivers it. So
    ``o.valid`` waits for ``o.ready``; a word takes the memory's latency and one cycle, or the
    latency alone with ``more``.

    Parameters
    ----------
    address_bits, width : :class:`int`
    slots : :class:`int`
        Words that may be requested or wait at a time; a power of two, or 0.
    direct : :class:`bool`
        Whether words pass by the buffer while it is empty.
    tag : :class:`int`
        Bits that come with an address and leave with its word.

    Members
    -------
    i : ``In(stream)``
        ``address``, ``tag``. ``ready`` depends combinationally on ``port.requests.ready``.
    port : ``Out(memory_port(address_bits, width))``
    o : ``Out(stream)``
        ``data``, ``tag``.
    more : ``In(1)``
        With no slots: ``o.ready`` stays high even after a word that is taken in this cycle.
    busy : ``Out(1)``
        Words are requested, or wait.
    """

    def __init__(self, *, address_bits, width, slots, direct=False, tag=0):
        address_bits = integer("address_bits", address_bits, 0, 32)
        width = integer("width", width, 1, 4096)
        self.slots = power_of_two("slots", slots, 0, 1024)
        self.direct = boolean("direct", direct)
        tag = integer("tag", tag, 0, 1024)
        super().__init__({
            "i": In(stream.Signature(data.StructLayout({"address": address_bits, "tag": tag}))),
            "port": Out(memory_port(address_bits, width)),
            "o": Out(stream.Signature(data.StructLayout({"data": width, "tag": tag}))),
            **({} if slots else {"more": In(1)}),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        if not self.slots:
            self._hand_on(m)
            return m
        slots, request, word = self.slots, self.port.requests, self.port.words
        held, there = Signal(range(slots + 1)), Signal(range(slots + 1))
        free, asks, comes, takes = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            free.eq(held != slots),
            request.valid.eq(self.i.valid & free),
            request.payload.address.eq(self.i.payload.address),
            self.i.ready.eq(request.ready & free),
            asks.eq(request.valid & request.ready),
            comes.eq(word.valid & (held != there)),  # words requested before a reset are dropped
            takes.eq(self.o.valid & self.o.ready),
            self.o.valid.eq((there != 0) | (comes if self.direct else 0)),
            self.busy.eq(held != 0),
        ]
        m.d.sync += [held.eq(held + asks - takes), there.eq(there + comes - takes)]
        passes = (there == 0) & takes  # the word bypasses the queue
        first = self._queue(m, "words", word.payload, comes & ~passes, takes & ~passes)
        m.d.comb += [
            self.o.payload.data.eq(Mux(there == 0, word.payload, first) if self.direct else first),
            self.o.payload.tag.eq(self._queue(m, "tags", self.i.payload.tag, asks, takes)),
        ]
        return m

    def _hand_on(self, m):
        """A word is taken as the memory delivers it."""
        request, word, tag = self.port.requests, self.port.words, self.i.payload.tag
        wanted, kept = Signal(), Signal.like(tag, reset_less=True)
        m.d.comb += [
            wanted.eq(self.o.ready & (~self.busy | (word.valid & self.more))),
            request.valid.eq(self.i.valid & wanted),
            request.payload.address.eq(self.i.payload.address),
            self.i.ready.eq(request.ready & wanted),
            self.o.valid.eq(self.busy & word.valid),
            self.o.payload.data.eq(word.payload),
            self.o.payload.tag.eq(kept),
        ]
        with m.If(self.o.valid):
            m.d.sync += self.busy.eq(0)
        with m.If(request.valid & request.ready):
            m.d.sync += [self.busy.eq(1), kept.eq(tag)]

    def _queue(self, m, name, value, put, take):
        """The head of a FIFO."""
        if not len(value):
            return value
        if self.slots == 1:
            register = Signal(len(value), name=name, reset_less=True)
            with m.If(put):
                m.d.sync += register.eq(value)
            return register
        first, last = (Signal(range(self.slots), name=f"{name}_{end}") for end in ("first", "last"))
        m.submodules[name] = queue = memory.Memory(shape=len(value), depth=self.slots, init=[])
        write, read = queue.write_port(), queue.read_port(domain="comb")
        m.d.comb += [write.en.eq(put), write.addr.eq(last), write.data.eq(value),
                     read.addr.eq(first)]
        with m.If(put):
            m.d.sync += last.eq(last + 1)
        with m.If(take):
            m.d.sync += first.eq(first + 1)
        return read.data
