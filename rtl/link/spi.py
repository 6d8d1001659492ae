from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["SpiTarget"]


class SpiTarget(wiring.Component):
    """Target of an SPI bus, mode 0, most significant bit first: a byte each way in eight clocks.

    With nothing to send it sends 0, the delimiter of frames, which a host may send as well to poll
    for answers. ``sck`` is sampled: its frequency must be at most an eighth of the clock's.

    Members
    -------
    sck, cs, sdi : ``In(1)``
        Need not be synchronous; ``cs`` is low while this target is selected.
    sdo : ``Out(1)``
    o : ``Out(stream.Signature(8))``
        Bytes that came; one that comes before the last one was taken is dropped.
    i : ``In(stream.Signature(8))``
        Bytes to send.
    """

    def __init__(self):
        super().__init__({
            "sck": In(1), "cs": In(1, init=1), "sdi": In(1), "sdo": Out(1),
            "o": Out(stream.Signature(8)), "i": In(stream.Signature(8)),
        })

    def elaborate(self, platform):
        m = Module()
        sck, cs, sdi, before = Signal(), Signal(init=1), Signal(), Signal()
        for name, pin, inside in (("sck", self.sck, sck), ("cs", self.cs, cs),
                                  ("sdi", self.sdi, sdi)):
            m.submodules[name] = FFSynchronizer(pin, inside, init=inside.init)
        m.d.sync += before.eq(sck)
        rise, fall = sck & ~before, ~sck & before
        left = Signal(3, init=7)
        came, going = Signal(7, reset_less=True), Signal(8)
        fresh = Signal(init=1)  # a byte begins: its first bit is sent before the first clock
        shown = Signal()        # it is one of `i`, and is taken with that clock, if that comes
        m.d.comb += self.sdo.eq(going[7])
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(cs):
            m.d.sync += [left.eq(7), fresh.eq(1), going.eq(0)]
        with m.Elif(fresh):
            m.d.sync += [fresh.eq(0), shown.eq(self.i.valid),
                         going.eq(Mux(self.i.valid, self.i.payload, 0))]
        with m.Elif(rise):
            m.d.comb += self.i.ready.eq(shown)
            m.d.sync += [came.eq(Cat(sdi, came)), left.eq(left - 1), shown.eq(0)]
            with m.If((left == 0) & ~self.o.valid):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(Cat(sdi, came))]
        with m.Elif(fall):
            m.d.sync += going.eq(Cat(0, going))
            with m.If(left == 7):
                m.d.sync += fresh.eq(1)
        return m
