import enum

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.validate import integer, number

__all__ = ["MAX_OFFSET", "Boot", "flash_pins"]

#: Commands that serial flashes of all makers have in common.
READ, WAKE = 0x03, 0xab
#: Addresses have 24 bits.
MAX_OFFSET = (1 << 24) - 1
#: Microseconds from the end of ``WAKE`` to the next command: tRES1 of W25Q128JV and of IS25LP128 is
#: 3 and 5; others take longer. The last frame is given as much time.
WAITING = 40
#: Maximum number of bytes of a frame.
MAX_FRAME = 255


class State(enum.Enum):
    """What is sent to the flash."""

    REST = 0  #: Nothing, before and after it wakes up.
    WAKE = 1  #: The command to wake up.
    ASK = 2   #: The command to read, and an address.
    READ = 3  #: Clocks to read on.
    OVER = 4  #: Nothing any more.


def flash_pins():
    """Signature of a flash's pins; ``cs`` is high while it is selected."""
    return wiring.Signature({"cs": Out(1), "sck": Out(1), "copi": Out(1), "cipo": In(1)})


class Boot(wiring.Component):
    """At power-up, feeds the link with bytes from the board's flash, as if a host sent them.

    The flash holds frames (``docs/link.md``), each with its CRC, and one more delimiter behind
    them. That ends the boot, as does what cannot be a frame: more than :data:`MAX_FRAME` bytes
    without a delimiter, such as those of an erased flash.

    The flash may be asleep at first: iCE40 leave it so. Its clock stops while a byte is not taken.

    Parameters
    ----------
    offset : :class:`int`
        Address of the first byte: 24 bits.
    mhz : number
        Clock frequency. The clock of the flash is at most 25 MHz, at which every flash works in
        this mode, and its data have more than half a period to arrive.

    Members
    -------
    flash : ``Out(flash_pins())``
        SPI mode 0.
    o : ``Out(stream.Signature(8))``
    busy : ``Out(1)``
        The boot is under way.
    leaves : ``Out(1)``
        High in the last cycle of ``busy``: :data:`WAITING` microseconds after the last byte was
        taken, by when all requests have been carried out.
    """

    def __init__(self, *, offset, mhz):
        self.offset = integer("offset", offset, 0, MAX_OFFSET)
        number("mhz", mhz, 1, 1000)
        self.half = max(1, -int(-mhz // 50))
        self.waiting = max(1, int(WAITING * mhz))
        super().__init__({"flash": Out(flash_pins()), "o": Out(stream.Signature(8)),
                          "busy": Out(1, init=1), "leaves": Out(1)})

    def elaborate(self, platform):
        m = Module()
        pins, state, woken = self.flash, Signal(State), Signal()
        rest = Signal(range(self.waiting + 1), init=self.waiting)
        timer, bit, byte = Signal(range(self.half)), Signal(range(8)), Signal(range(4))
        word = Signal(8)  # shifts out at its top, and in at its bottom
        address = Array(self.offset >> shift & 255 for shift in (16, 8, 0, 0))
        m.d.comb += [pins.copi.eq(word[-1]), self.o.payload.eq(word)]

        with m.If((state == State.REST) | (state == State.OVER)):
            m.d.sync += [pins.cs.eq(0), word.eq(Mux(woken, READ, WAKE))]
            with m.If(rest != 0):
                m.d.sync += rest.eq(rest - 1)
            with m.Elif(state == State.OVER):
                m.d.comb += self.leaves.eq(self.busy)
                m.d.sync += self.busy.eq(0)
            with m.Else():
                m.d.sync += [pins.cs.eq(1), timer.eq(self.half - 1),
                             state.eq(Mux(woken, State.ASK, State.WAKE))]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(~pins.sck):
            with m.If((state != State.READ) | (bit != 0) | ~self.o.valid):
                m.d.sync += [pins.sck.eq(1), timer.eq(self.half - 1)]
        with m.Else():
            m.d.sync += [pins.sck.eq(0), timer.eq(self.half - 1), bit.eq(bit + 1),
                         word.eq(Cat(pins.cipo, word))]
            with m.If(bit == 7):
                m.d.sync += woken.eq(1)
                with m.Switch(state):
                    with m.Case(State.WAKE):
                        m.d.sync += [state.eq(State.REST), rest.eq(self.waiting), pins.cs.eq(0)]
                    with m.Case(State.ASK):
                        m.d.sync += [byte.eq(byte + 1), word.eq(address[byte])]
                        with m.If(byte == 3):
                            m.d.sync += state.eq(State.READ)
                    with m.Case(State.READ):
                        m.d.sync += self.o.valid.eq(1)

        ended, count = Signal(), Signal(range(MAX_FRAME + 1))  # since the last delimiter
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), count.eq(count + 1), ended.eq(0)]
            with m.If(self.o.payload == 0):
                m.d.sync += [count.eq(0), ended.eq(1)]
            with m.If(Mux(self.o.payload == 0, ended, count == MAX_FRAME)):
                m.d.sync += [state.eq(State.OVER), rest.eq(self.waiting), pins.cs.eq(0),
                             pins.sck.eq(0)]
        return m
