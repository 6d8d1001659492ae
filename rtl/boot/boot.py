import enum

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out, connect, flipped

from rtl.accelerator.registers import ADDRESS_BITS, OFFSET_BITS, Register, Window
from rtl.boot.reader import FlashReader, flash_pins

__all__ = ["MAGIC", "Boot"]

#: First word of an image: "SYSM".
MAGIC = 0x5359534d
#: Bits of the numbers of words in an image.
COUNT_BITS = 22


class State(enum.Enum):
    """Which word comes next."""

    MAGIC = 0
    TAG = 1      #: What the register ``TAG`` is to be, at the very end.
    LENGTH = 2   #: Words of all sections.
    ADDRESS = 3  #: Where the first word of a section goes.
    COUNT = 4    #: Words of it.
    DATA = 5     #: One of them.
    CRC = 6      #: Of all before it.
    MARK = 7     #: None: the tag is written.
    OVER = 8     #: None.


class Boot(wiring.Component):
    """Writes an image from the board's flash to the accelerator, as a host would over the link.

    An image is of words of 32 bits, low byte first: :data:`MAGIC`, a tag, the number of words in
    all sections; sections, each of an address (`docs/registers.md`), the number of words and these;
    a CRC. The tag is written last, and only if the CRC is right: by it the host knows that it need
    not send that program. Where there is no image nothing is written.

    Parameters
    ----------
    offset, mhz : as of :class:`FlashReader`

    Members
    -------
    flash : ``Out(flash_pins())``
    commands : ``Out(stream)``
        As of :class:`~rtl.accelerator.Accelerator`.
    busy : ``Out(1)``
        It is not over yet.
    """

    def __init__(self, *, offset, mhz):
        self.reader = FlashReader(offset=offset, mhz=mhz)
        command = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": 32})
        super().__init__({"flash": Out(flash_pins()), "commands": Out(stream.Signature(command)),
                          "busy": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = self.reader
        connect(m, reader.pins, flipped(self.flash))
        state, command = Signal(State), self.commands.payload
        tag, left, count = Signal(32), Signal(COUNT_BITS), Signal(COUNT_BITS)
        word, whole, number, taken = Signal(32), Signal(), Signal(2), Signal()
        m.d.comb += reader.o.ready.eq(~whole)
        with m.If(reader.o.valid & reader.o.ready):
            m.d.sync += [word.eq(Cat(word[8:], reader.o.payload)), number.eq(number + 1),
                         whole.eq(number == 3)]
        with m.If(taken):
            m.d.sync += whole.eq(0)
        m.d.comb += [
            taken.eq(whole & (self.commands.ready | (state != State.DATA))),
            self.commands.valid.eq((whole & (state == State.DATA)) | (state == State.MARK)),
            command.write.eq(1), command.data.eq(word),
            reader.stop.eq(state == State.OVER),
        ]
        m.d.sync += self.busy.eq(state != State.OVER)
        last = left == 1
        with m.Switch(state):
            with m.Case(State.MAGIC):
                with m.If(taken):
                    m.d.sync += state.eq(Mux(word == MAGIC, State.TAG, State.OVER))
            with m.Case(State.TAG):
                with m.If(taken):
                    m.d.sync += [tag.eq(word), state.eq(State.LENGTH)]
            with m.Case(State.LENGTH):
                with m.If(taken):
                    m.d.sync += [left.eq(word), state.eq(
                        Mux(word == 0, State.CRC, State.ADDRESS))]
            with m.Case(State.ADDRESS):
                with m.If(taken):
                    m.d.sync += [command.address.eq(word), left.eq(left - 1),
                                 state.eq(Mux(last, State.CRC, State.COUNT))]
            with m.Case(State.COUNT):
                with m.If(taken):
                    m.d.sync += [count.eq(word), left.eq(left - 1),
                                 state.eq(Mux(last, State.CRC, State.DATA))]
            with m.Case(State.DATA):
                with m.If(taken):
                    m.d.sync += [command.address.eq(command.address + 1), left.eq(left - 1),
                                 count.eq(count - 1)]
                    with m.If(last):
                        m.d.sync += state.eq(State.CRC)
                    with m.Elif(count == 1):
                        m.d.sync += state.eq(State.ADDRESS)
            with m.Case(State.CRC):
                with m.If(taken):
                    m.d.sync += state.eq(Mux(reader.good, State.MARK, State.OVER))
            with m.Case(State.MARK):
                m.d.comb += [command.data.eq(tag)]
                with m.If(self.commands.ready):
                    m.d.sync += state.eq(State.OVER)
        with m.If((state == State.CRC) & taken):
            m.d.sync += command.address.eq((Window.REGISTERS << OFFSET_BITS) + Register.TAG)
        return m
