from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from rtl.link.protocol import HEADER, RING
from rtl.memory import BlockRam

__all__ = ["FrameReceiver"]

#: Bytes of the CRC at the end of a frame.
CRC = 4


class FrameReceiver(wiring.Component):
    """Extracts whole frames whose CRC is right from a stream of bytes, and drops all others.

    Frames are gathered in a ring buffer. One that is too short, longer than 255 bytes or damaged,
    or that does not fit the buffer, is dropped. A byte takes at most 9 cycles.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Frames as COBS encodes them, each followed by a 0.
    o : ``Out(stream.Signature(8))``
        For each frame: the number of its bytes, then these, including the CRC. ``clear`` withdraws
        a byte that is offered.
    clear : ``Out(1)``
        A strobe: a frame came whose first byte has its upper bit set. All frames before it are
        discarded, and it follows on ``o``.
    """

    def __init__(self):
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
            "clear": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.ring = ring = BlockRam(width=8, depth=RING)
        m.submodules.crc = crc = CRC32_ISO_HDLC(1).create()
        # A frame lies from `start`, where its length goes, to `last`; the next begins behind it.
        start, last, read = Signal(range(RING)), Signal(range(RING)), Signal(range(RING))
        end, length = Signal(range(RING)), Signal(range(RING))
        m.d.comb += [end.eq(last + 1), length.eq(last - start)]
        # Registers, as bytes that change them are further apart than a cycle.
        full, long_enough = Signal(), Signal()
        m.d.sync += [full.eq(end == read),
                     long_enough.eq(~length[8] & (length >= HEADER + CRC))]

        bits, shift = Signal(range(9)), Signal(8, reset_less=True)
        m.d.comb += [crc.valid.eq(bits != 0), crc.data.eq(shift[0]), self.i.ready.eq(bits == 0)]
        with m.If(bits != 0):
            m.d.sync += [bits.eq(bits - 1), shift.eq(shift >> 1)]

        byte = self.i.payload
        code = Signal(8)            # bytes to come before a zero, or before the end
        first = Signal(init=1)      # of a frame: no zero before it
        empty = Signal(init=1)
        bad, urgent = Signal(), Signal()
        good, forget = Signal(), Signal()
        # A frame that leaves no space for the length of the next would make the ring look empty.
        m.d.comb += good.eq(crc.match_detected & (code == 0) & ~bad & ~full & long_enough)
        value = Mux(code == 0, 0, byte)
        with m.If(self.i.valid & self.i.ready):
            with m.If(byte == 0):
                m.d.comb += [crc.start.eq(1), forget.eq(good & urgent), ring.write_addr.eq(start),
                             ring.write_en.eq(good), ring.write_data.eq(length)]
                m.d.sync += [code.eq(0), first.eq(1), empty.eq(1), bad.eq(0), last.eq(start)]
                with m.If(good):
                    m.d.sync += [start.eq(end), last.eq(end)]
            with m.Else():
                m.d.comb += [ring.write_addr.eq(end), ring.write_data.eq(value)]
                m.d.sync += [code.eq(Mux(code == 0, byte, code) - 1), first.eq(0)]
                with m.If(~first | (code != 0)):
                    m.d.comb += ring.write_en.eq(~full)
                    m.d.sync += [bits.eq(8), shift.eq(value), empty.eq(0), bad.eq(bad | full)]
                    with m.If(empty):
                        m.d.sync += urgent.eq(value[7])
                    with m.If(~full):
                        m.d.sync += last.eq(end)

        m.d.comb += [ring.read_addr.eq(read), self.o.payload.eq(ring.read_data)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(~self.o.valid & (read != start)):
            m.d.comb += ring.read_en.eq(1)
            m.d.sync += [read.eq(read + 1), self.o.valid.eq(1)]
        # The units behind are reset while the frame's first byte is read.
        m.d.sync += self.clear.eq(forget)
        with m.If(forget):
            m.d.sync += [read.eq(start), self.o.valid.eq(0)]
        return m
