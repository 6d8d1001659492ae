import enum

from amaranth import *
from amaranth.lib import crc, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.check import integer

__all__ = ["FlashReader", "IMAGE_CRC", "flash_pins"]

#: Commands of serial flashes, whatever their maker.
READ, WAKE = 0x03, 0xab
#: Microseconds from the end of ``WAKE`` to the next command: tRES1 of W25Q128JV and of IS25LP128 is
#: 3 and 5; others take longer.
WAKING = 40
#: Of an image, its CRC included: bits in the order in which they leave the flash.
IMAGE_CRC = crc.catalog.CRC32_BZIP2


class State(enum.Enum):
    """What the flash is told."""

    REST = 0  #: Nothing, before and after it is woken.
    WAKE = 1  #: To wake up.
    ASK = 2   #: To read from an address on.
    READ = 3  #: To go on.


def flash_pins():
    """Signature of a flash's pins; ``cs`` is high while it is selected."""
    return wiring.Signature({"cs": Out(1), "sck": Out(1), "copi": Out(1), "cipo": In(1)})


class FlashReader(wiring.Component):
    """Reads a serial flash from an address on, bit by bit, until it is told to stop.

    The flash may sleep at first: iCE40 leave it so. Its clock stops while a byte is not taken.

    Parameters
    ----------
    offset : :class:`int`
        Address of the first byte: 24 bits.
    mhz : number
        Clock. That of the flash is at most 25 MHz, which each bears in this mode, and its words
        have more than half a period for their way.

    Members
    -------
    pins : ``Out(flash_pins())``
        SPI mode 0.
    stop : ``In(1)``
        From now on nothing is read.
    o : ``Out(stream.Signature(8))``
    good : ``Out(1)``
        The last four of all bytes so far are the CRC of those before them.
    """

    def __init__(self, *, offset, mhz):
        self.offset = integer("offset", offset, 0, (1 << 24) - 1)
        self.half = max(1, -int(-mhz // 50))
        self.waking = max(1, int(WAKING * mhz))
        super().__init__({"pins": Out(flash_pins()), "stop": In(1),
                          "o": Out(stream.Signature(8)), "good": Out(1)})

    def elaborate(self, platform):
        m = Module()
        pins, state, woken = self.pins, Signal(State), Signal()
        rest = Signal(range(self.waking + 1), init=self.waking)
        timer, left = Signal(range(self.half)), Signal(range(33))
        going, came = Signal(32), self.o.payload
        m.d.comb += pins.copi.eq(going[-1])
        m.submodules.crc = check = IMAGE_CRC(data_width=1).create()
        m.d.comb += [check.data.eq(pins.cipo), self.good.eq(check.match_detected)]

        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(state == State.REST):
            m.d.sync += [rest.eq(rest - 1), pins.cs.eq(0), left.eq(Mux(woken, 32, 8)),
                         going.eq(Mux(woken, READ << 24 | self.offset, WAKE << 24))]
            with m.If(rest == 0):
                m.d.sync += [pins.cs.eq(1), timer.eq(self.half - 1),
                             state.eq(Mux(woken, State.ASK, State.WAKE))]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(~pins.sck):
            with m.If((state != State.READ) | (left != 8) | ~self.o.valid):
                m.d.sync += [pins.sck.eq(1), timer.eq(self.half - 1)]
        with m.Else():
            m.d.sync += [pins.sck.eq(0), timer.eq(self.half - 1), going.eq(going << 1),
                         left.eq(left - 1)]
            with m.If(state == State.READ):
                m.d.comb += check.valid.eq(1)
                m.d.sync += came.eq(Cat(pins.cipo, came))
            with m.If(left == 1):
                m.d.sync += [left.eq(8), woken.eq(1)]
                with m.Switch(state):
                    with m.Case(State.WAKE):
                        m.d.sync += [state.eq(State.REST), rest.eq(self.waking), pins.cs.eq(0)]
                    with m.Case(State.ASK):
                        m.d.sync += state.eq(State.READ)
                    with m.Case(State.READ):
                        m.d.sync += self.o.valid.eq(1)
        with m.If(self.stop):
            m.d.sync += [state.eq(State.REST), rest.eq(self.waking), pins.cs.eq(0), pins.sck.eq(0),
                         self.o.valid.eq(0)]
        return m
