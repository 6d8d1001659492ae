from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accelerator.registers import ADDRESS_BITS
from rtl.link.engine import CommandEngine
from rtl.link.receiver import FrameReceiver
from rtl.link.sender import FrameSender

__all__ = ["Link"]


class Link(wiring.Component):
    """From a stream of bytes to an accelerator's commands, and back. See ``docs/link.md``.

    Members
    -------
    i, o : ``In(stream.Signature(8))``, ``Out(stream.Signature(8))``
        Bytes from and to the host. ``i`` takes a byte in at most 9 cycles.
    commands, answers : ``Out(stream)``, ``In(stream.Signature(32))``
        As ``commands`` and ``o`` of :class:`~rtl.accelerator.Accelerator`.
    done : ``In(1)``
        Nothing runs.
    clear : ``Out(1)``
        Reset the accelerator; a strobe. Commands are withdrawn.
    linked : ``Out(1)``
        A host has sent ``HELLO``.
    """

    def __init__(self):
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
            "commands": Out(stream.Signature(command)),
            "answers": In(stream.Signature(32)),
            "done": In(1),
            "clear": Out(1),
            "linked": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = FrameReceiver()
        engine, sender = CommandEngine(), FrameSender()
        m.submodules.engine = ResetInserter(receiver.clear)(engine)
        m.submodules.sender = ResetInserter(receiver.clear)(sender)
        connect(m, flipped(self.i), receiver.i)
        connect(m, receiver.o, engine.i)
        connect(m, engine.o, sender.i)
        connect(m, sender.o, flipped(self.o))
        connect(m, engine.commands, flipped(self.commands))
        connect(m, flipped(self.answers), engine.answers)
        m.d.comb += [engine.done.eq(self.done), self.clear.eq(receiver.clear),
                     self.linked.eq(engine.linked)]
        return m
