from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accelerator.params import AcceleratorParams
from rtl.accelerator.registers import ADDRESS_BITS, OFFSET_BITS, Window
from rtl.bus.registers import (
    AT_ANY_TIME,
    COUNT_BITS,
    STREAMS,
    Command,
    Request,
    Response,
    StreamRegister,
    window_words,
)
from rtl.bus.streams import Transfer
from rtl.validate import of_type

__all__ = ["Access"]


class Access(wiring.Component):
    """Carries out the accesses of a bus, one after the other, or refuses them with an error.

    It refuses, without effect,

    * an access beyond a window's words, a write to a read-only window, a read of a write-only one;
    * a write of fewer than four bytes;
    * an access that would have to wait for the end of a run, and stall the bus until then;
    * a write to the accelerator while words of the input stream are to come, as parts of a wide
      word from both would mix;
    * a transfer that is not within one memory, and any change to one under way other than to end
      it.

    A request is taken in the same cycle as its response, at the earliest in the third.
    ``requests.ready`` depends combinationally on ``responses.ready``.

    Parameters
    ----------
    params : :class:`~rtl.accelerator.AcceleratorParams`

    Members
    -------
    requests, responses : ``In(stream.Signature(Request))``, ``Out(stream.Signature(Response))``
        A response for each request, 0 with an error or for a write.
    commands, answers : as ``bus`` and ``answers`` of :class:`~rtl.bus.arbiter.CommandArbiter`
    inlet, outlet : ``Out(Transfer)``
    done : ``In(1)``
        Nothing runs.
    irq : ``Out(1)``
        A run has ended since this was cleared.
    """

    def __init__(self, params):
        self.params = of_type("params", params, AcceleratorParams)
        super().__init__({
            "requests": In(stream.Signature(Request)),
            "responses": Out(stream.Signature(Response)),
            "commands": Out(stream.Signature(Command)),
            "answers": In(stream.Signature(32)),
            "inlet": Out(Transfer),
            "outlet": Out(Transfer),
            "done": In(1),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        request, response = self.requests.payload, self.responses.payload
        own = request.address[OFFSET_BITS:] == STREAMS
        m.d.comb += [
            self.commands.payload.write.eq(request.write),
            self.commands.payload.address.eq(request.address),
            self.commands.payload.data.eq(request.data),
            self.inlet.value.eq(request.data),
            self.outlet.value.eq(request.data),
        ]

        # The last word of the requested transfer; a bit more than an address.
        last, inwards = Signal(ADDRESS_BITS + 1), Signal()
        there, judged, first = Signal(), Signal.like(last), Signal.like(last)
        base = Mux(inwards, self.inlet.address, self.outlet.address)
        m.d.comb += [
            inwards.eq(request.address[:OFFSET_BITS] == StreamRegister.IN_COUNT),
            last.eq(base + request.data[:COUNT_BITS] - 1),
        ]
        self._judge(m, judged, Mux(own, inwards, request.write), there)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [judged.eq(Mux(own, last, request.address)), first.eq(base),
                             response.eq(0)]
                with m.If(self.requests.valid):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                self._elaborate_decision(m, own, there, judged, first)
            with m.State("COMMAND"):
                m.d.comb += self.commands.valid.eq(1)
                with m.If(self.commands.ready):
                    m.next = "ANSWER"
                    with m.If(request.write):
                        m.next = "RESPOND"
            with m.State("ANSWER"):
                m.d.comb += self.answers.ready.eq(1)
                m.d.sync += response.data.eq(self.answers.payload)
                with m.If(self.answers.valid):
                    m.next = "RESPOND"
            with m.State("RESPOND"):
                m.d.comb += [self.responses.valid.eq(1),
                             self.requests.ready.eq(self.responses.ready)]
                with m.If(self.responses.ready):
                    m.next = "IDLE"

        ran = Signal()
        m.d.sync += ran.eq(~self.done)
        with m.If(ran & self.done):  # even while it is being cleared
            m.d.sync += self.irq.eq(1)
        return m

    def _elaborate_decision(self, m, own, there, judged, first):
        """Carry out an access to a register of the streams, pass on one to the accelerator, or
        refuse it."""
        request, response = self.requests.payload, self.responses.payload
        free = Signal()  # can be accessed now
        m.d.comb += free.eq(~request.write | (self.inlet.left == 0))
        with m.If(~self.done):
            with m.Switch(request.address[OFFSET_BITS:]):
                with m.Case(*AT_ANY_TIME):
                    pass
                with m.Default():
                    m.d.comb += free.eq(0)
        m.next = "RESPOND"
        with m.If(request.write & ~request.whole):
            m.d.sync += response.error.eq(1)
        with m.Elif(own):
            same = ((judged[OFFSET_BITS:] == first[OFFSET_BITS:])
                    & (judged[OFFSET_BITS:] != Window.REGISTERS))
            fits = there & same & (request.data[COUNT_BITS:] == 0)
            self._stream_register(m, request, response, fits)
        with m.Elif(there & free):
            m.next = "COMMAND"
        with m.Else():
            m.d.sync += response.error.eq(1)

    def _judge(self, m, address, write, there):
        """Whether there is a word at ``address`` that can be written or, otherwise, read."""
        window, offset = address[OFFSET_BITS:], address[:OFFSET_BITS]
        with m.Switch(window):
            for each, (readable, writable) in window_words(self.params).items():
                with m.Case(each):
                    if writable:
                        with m.If(write):
                            m.d.comb += there.eq(offset < writable)
                    if readable:
                        with m.If(~write):
                            m.d.comb += there.eq(offset < readable)

    def _stream_register(self, m, request, response, fits):
        """Read or write a register of the streams; ``fits`` tells whether a transfer lies within a
        memory."""
        offset = request.address[:OFFSET_BITS]
        counts = ((StreamRegister.IN_ADDRESS, StreamRegister.IN_COUNT, self.inlet),
                  (StreamRegister.OUT_ADDRESS, StreamRegister.OUT_COUNT, self.outlet))
        with m.Switch(offset):
            for address, count, transfer in counts:
                idle = transfer.left == 0
                with m.Case(address):
                    m.d.sync += response.data.eq(Mux(request.write, 0, transfer.address))
                    with m.If(request.write):
                        good = idle & (request.data[ADDRESS_BITS:] == 0)
                        m.d.comb += transfer.load_address.eq(good)
                        m.d.sync += response.error.eq(~good)
                with m.Case(count):
                    m.d.sync += response.data.eq(Mux(request.write, 0, transfer.left))
                    with m.If(request.write):
                        good = (request.data == 0) | (idle & fits)
                        m.d.comb += transfer.load_count.eq(good)
                        m.d.sync += response.error.eq(~good)
            with m.Case(StreamRegister.INTERRUPT):
                m.d.sync += response.data.eq(Mux(request.write, 0, self.irq))
                with m.If(request.write):
                    m.d.sync += self.irq.eq(0)
            with m.Default():
                m.d.sync += response.error.eq(1)
