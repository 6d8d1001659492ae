from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from rtl.link.protocol import Answer
from rtl.memory import BlockRam

__all__ = ["FrameSender"]


class FrameSender(wiring.Component):
    """Sends frames: adds the CRC, encodes them by COBS, and ends each with a 0.

    A frame is gathered first, at 9 cycles a byte, then sent. As it has at most 249 bytes, the place
    of each zero holds the distance to the next, and is written when that is met: one write a byte.
    After a reset a delimiter ends whatever frame was cut off.

    Members
    -------
    i : ``In(stream.Signature(Answer))``
        The bytes; ``last`` ends the frame.
    o : ``Out(stream.Signature(8))``
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(Answer)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = BlockRam(width=8, depth=256)
        m.submodules.crc = crc = CRC32_ISO_HDLC(1).create()
        zero, end = Signal(8), Signal(8)
        way = Signal(8)  # from `zero` to `end`; later, the number of bytes sent
        part = Signal(2)
        bits, shift = Signal(range(9)), Signal(8, reset_less=True)
        m.d.comb += [crc.valid.eq(bits != 0), crc.data.eq(shift[0])]
        with m.If(bits != 0):
            m.d.sync += [bits.eq(bits - 1), shift.eq(shift >> 1)]

        # A byte that was taken is written before its bits are shifted.
        came, check = Signal(), Signal()
        byte = Mux(came, shift, crc.crc.word_select(part, 8))
        m.d.comb += came.eq(bits == 8)
        with m.If(came | check):
            m.d.comb += buffer.write_en.eq(1)
            m.d.sync += end.eq(end + 1)
            with m.If(byte == 0):
                m.d.comb += [buffer.write_addr.eq(zero), buffer.write_data.eq(way)]
                m.d.sync += [zero.eq(end), way.eq(1)]
            with m.Else():
                m.d.comb += [buffer.write_addr.eq(end), buffer.write_data.eq(byte)]
                m.d.sync += way.eq(way + 1)

        m.d.comb += buffer.read_addr.eq(way)
        delimiter = Signal(init=1)
        m.d.comb += self.o.payload.eq(Mux(delimiter, 0, buffer.read_data))
        with m.FSM(init="DELIMIT"):
            with m.State("DELIMIT"):
                m.d.comb += [self.o.valid.eq(1), crc.start.eq(1)]
                m.d.sync += [zero.eq(0), way.eq(1), end.eq(1)]
                with m.If(self.o.ready):
                    m.d.sync += delimiter.eq(0)
                    m.next = "GATHER"
            with m.State("GATHER"):
                m.d.comb += self.i.ready.eq(bits == 0)
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += [bits.eq(8), shift.eq(self.i.payload.byte)]
                    with m.If(self.i.payload.last):
                        m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(bits == 0):
                    m.d.comb += check.eq(1)
                    m.d.sync += part.eq(part + 1)
                    with m.If(part == 3):
                        m.next = "CLOSE"
            self._elaborate_sending(m, buffer, zero, way, end, delimiter)
        return m

    def _elaborate_sending(self, m, buffer, zero, way, end, delimiter):
        """States that complete the frame in the buffer, and send it byte by byte."""
        with m.State("CLOSE"):
            m.d.comb += [buffer.write_en.eq(1), buffer.write_addr.eq(zero),
                         buffer.write_data.eq(way)]
            m.d.sync += way.eq(0)
            m.next = "FETCH"
        with m.State("FETCH"):
            m.d.comb += buffer.read_en.eq(1)
            m.d.sync += way.eq(way + 1)
            m.next = "SEND"
        with m.State("SEND"):
            m.d.comb += self.o.valid.eq(1)
            with m.If(self.o.ready):
                with m.If(way == end):
                    m.d.sync += delimiter.eq(1)
                    m.next = "DELIMIT"
                with m.Else():
                    m.next = "FETCH"
