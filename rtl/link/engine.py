from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.registers import ADDRESS_BITS
from rtl.link.protocol import HEADER, INFO, Answer, Kind, Status

__all__ = ["CommandEngine"]

#: Bytes of the CRC, which the receiver has checked.
CRC = 4


class CommandEngine(wiring.Component):
    """Carries out the requests in frames, each once and in order, and answers each.

    A request is carried out if it has the sequence number that is expected next. One of the 128
    numbers before that was carried out: a read is repeated, a write only answered. Any other number
    means that a request is missing.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Frames as :class:`FrameReceiver` gives them.
    o : ``Out(stream.Signature(Answer))``
        Answers, for :class:`FrameSender`.
    commands, answers : ``Out(stream)``, ``In(stream.Signature(32))``
        As ``commands`` and ``o`` of :class:`~rtl.accelerator.Accelerator`.
    done : ``In(1)``
        The condition that ``WAIT`` waits for.
    linked : ``Out(1)``
        A host has sent ``HELLO``.
    """

    def __init__(self):
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(Answer)),
            "commands": Out(stream.Signature(command)),
            "answers": In(stream.Signature(32)),
            "done": In(1),
            "linked": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        left = Signal(8)                       # bytes of the frame still to take
        header = data.StructLayout({"kind": 8, "sequence": 8, "address": 24})
        request = Signal(header, reset_less=True)
        at = Signal(3)
        status, execute = Signal(Status), Signal()
        expected, count = Signal(8), Signal(6)
        word = Signal(32, reset_less=True)

        hello = request.kind[:2] == Kind.HELLO
        write, read, wait = (request.kind[:2] == each
                             for each in (Kind.WRITE, Kind.READ, Kind.WAIT))
        ahead = Signal(8)
        m.d.comb += ahead.eq(request.sequence - expected)
        shifted = Cat(word[8:], self.i.payload)  # a byte in, or a byte out

        taken = self.i.valid & self.i.ready
        with m.If(taken):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [
            self.commands.payload.write.eq(write),
            self.commands.payload.address.eq(request.address),
            self.commands.payload.data.eq(word),
        ]

        with m.FSM():
            self._elaborate_header(m, request, execute, taken, left, at, count)
            with m.State("DECIDE"):
                m.next = "REST"
                with m.If(request.kind[2:7] != 0):
                    m.d.sync += status.eq(Status.REFUSED)
                with m.Elif(~hello & ~self.linked):
                    m.d.sync += status.eq(Status.CLOSED)
                with m.Elif(~hello & (ahead != 0) & ~ahead[7]):
                    m.d.sync += status.eq(Status.GAP)
                with m.Else():
                    m.d.sync += [status.eq(Status.OK), execute.eq(1)]
                    with m.If(hello | (ahead == 0)):
                        m.d.sync += [self.linked.eq(1), expected.eq(request.sequence + 1)]
                    with m.If(hello):
                        m.d.sync += count.eq(2)
                        m.next = "WORD"
                    with m.Elif(read):
                        m.next = "COUNT"
                    with m.Elif(write & (ahead == 0)):
                        m.next = "WORD"
            self._elaborate_data(m, request, write, taken, left, at, count, word, shifted)
            self._elaborate_answer(m, request, hello, wait, execute, status, left, at, count)
            self._elaborate_words(m, request, hello, at, count, word, shifted)
        return m

    def _elaborate_header(self, m, request, execute, taken, left, at, count):
        """The state that takes the length of a frame, and the header of its request."""
        with m.State("HEADER"):
            m.d.comb += self.i.ready.eq(1)
            m.d.sync += [count.eq(0), execute.eq(0)]
            with m.If(taken):
                with m.If(at == 0):
                    m.d.sync += left.eq(self.i.payload)
                m.d.sync += [request.eq(Cat(request.as_value()[8:], self.i.payload)),
                             at.eq(at + 1)]
                with m.If(at == HEADER):
                    m.d.sync += at.eq(0)
                    m.next = "DECIDE"

    def _elaborate_data(self, m, request, write, taken, left, at, count, word, shifted):
        """States that take the data of a request: a number of words, or words."""
        with m.State("COUNT"):
            m.d.comb += self.i.ready.eq(1)
            with m.If(taken):
                m.d.sync += count.eq(self.i.payload)
                m.next = "REST"
        with m.State("WORD"):
            with m.If(left == CRC):
                m.d.sync += at.eq(0)
                m.next = "REST"
            with m.Else():
                m.d.comb += self.i.ready.eq(1)
                with m.If(taken):
                    m.d.sync += [word.eq(shifted), at.eq(at + 1)]
                    with m.If(at == 3):
                        m.d.sync += at.eq(0)
                        with m.If(write):
                            m.next = "WRITE"
        with m.State("WRITE"):
            m.d.comb += self.commands.valid.eq(1)
            with m.If(self.commands.ready):
                m.d.sync += request.address.eq(request.address + 1)
                m.next = "WORD"

    def _elaborate_answer(self, m, request, hello, wait, execute, status, left, at, count):
        """The state that takes the rest of a frame, and begins the answer."""
        with m.State("REST"):
            m.d.comb += self.i.ready.eq(left != 0)
            # `at` tells which byte of the answer is next.
            m.d.comb += [
                self.o.payload.byte.eq(Mux(at == 0, request.sequence, status)),
                self.o.payload.last.eq((at == 1) & (count == 0)),
                self.o.valid.eq((left == 0) & (~wait | ~execute | self.done | (at == 1))),
            ]
            with m.If(self.o.valid & self.o.ready):
                m.d.sync += at.eq(1)
                with m.If(at == 1):
                    m.d.sync += at.eq(0)
                    m.next = "HEADER"
                    with m.If(count != 0):
                        m.next = "READ"
                        with m.If(hello):
                            m.next = "ANSWER"

    def _elaborate_words(self, m, request, hello, at, count, word, shifted):
        """States that read words and send them."""
        asked = Signal()
        with m.State("READ"):
            m.d.comb += [self.commands.valid.eq(~asked & ~hello), self.answers.ready.eq(asked)]
            with m.If(self.commands.ready):
                m.d.sync += asked.eq(1)
            with m.If(hello | asked & self.answers.valid):
                m.d.sync += [word.eq(Mux(hello, INFO, self.answers.payload)), asked.eq(0),
                             request.address.eq(request.address + 1)]
                m.next = "ANSWER"
        with m.State("ANSWER"):
            m.d.comb += [
                self.o.valid.eq(1), self.o.payload.byte.eq(word),
                self.o.payload.last.eq((at == 3) & (count == 1)),
            ]
            with m.If(self.o.ready):
                m.d.sync += [word.eq(shifted), at.eq(at + 1)]
                with m.If(at == 3):
                    m.d.sync += [at.eq(0), count.eq(count - 1)]
                    m.next = "READ"
                    with m.If(count == 1):
                        m.next = "HEADER"
