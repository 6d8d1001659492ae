from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from rtl.validate import integer

__all__ = ["UartRx", "UartTx", "divisor_of"]

#: Minimum and maximum number of clocks for each bit; the receiver samples in the middle.
MIN_DIVISOR, MAX_DIVISOR = 4, 1 << 16

#: Sender and receiver may differ by half a bit in 9.5 bits; this leaves more than half of that to
#: the other end and to edges.
TOLERANCE = 0.02


def divisor_of(clock, baud):
    """Number of clocks of a ``clock`` in Hz for each bit at ``baud``.

    Raises :exc:`ValueError` if that is too few, or misses the baud rate by more than 2 %.
    """
    divisor = max(round(clock / baud), 1)
    if divisor < MIN_DIVISOR:
        raise ValueError(f"{baud} baud needs a clock of {MIN_DIVISOR * baud} Hz or more, not "
                         f"{clock}")
    if abs(clock / divisor / baud - 1) > TOLERANCE:
        raise ValueError(f"a clock of {clock} Hz cannot give {baud} baud within "
                         f"{TOLERANCE:.0%}; {clock // divisor} or {clock // (divisor + 1)} baud "
                         "it can")
    return divisor


class UartRx(wiring.Component):
    """Receiver of a UART: 8 bits, no parity, one stop bit, sampled in the middle.

    A byte whose stop bit is low is dropped, and so is one that comes before the last one was taken.

    Parameters
    ----------
    divisor : :class:`int`
        Clocks of a bit.

    Members
    -------
    pin : ``In(1)``
        High when idle; need not be synchronous.
    o : ``Out(stream.Signature(8))``
    """

    def __init__(self, *, divisor):
        self.divisor = integer("divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        super().__init__({"pin": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.pin, rx, init=1)
        clocks = Signal(range(self.divisor))
        left = Signal(range(11))  # bits of this byte that are still to come
        byte = Signal(8, reset_less=True)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.sync += clocks.eq(Mux(clocks == 0, self.divisor - 1, clocks - 1))
        with m.If(left == 0):
            m.d.sync += clocks.eq(self.divisor // 2 - 1)
            with m.If(~rx):
                m.d.sync += left.eq(10)
        with m.Elif(clocks == 0):
            m.d.sync += [left.eq(left - 1), byte.eq(Cat(byte[1:], rx))]
            with m.If((left == 10) & rx):  # a glitch, not a start bit
                m.d.sync += left.eq(0)
            with m.If(left == 1):
                m.d.sync += byte.eq(byte)
                with m.If(rx & ~self.o.valid):
                    m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(byte)]
        return m


class UartTx(wiring.Component):
    """Sender of a UART: 8 bits, no parity, one stop bit.

    Parameters
    ----------
    divisor : :class:`int`
        Clocks of a bit.

    Members
    -------
    i : ``In(stream.Signature(8))``
    pin : ``Out(1)``
    """

    def __init__(self, *, divisor):
        self.divisor = integer("divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        super().__init__({"i": In(stream.Signature(8)), "pin": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        clocks = Signal(range(self.divisor))
        left = Signal(range(11))
        bits = Signal(9, init=-1, reset_less=True)
        m.d.sync += self.pin.eq((left == 0) | bits[0])
        with m.If(left == 0):
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.valid):
                m.d.sync += [left.eq(10), bits.eq(Cat(0, self.i.payload)),
                             clocks.eq(self.divisor - 1)]
        with m.Else():
            m.d.sync += clocks.eq(clocks - 1)
            with m.If(clocks == 0):
                m.d.sync += [clocks.eq(self.divisor - 1), left.eq(left - 1),
                             bits.eq(Cat(bits[1:], 1))]
        return m
