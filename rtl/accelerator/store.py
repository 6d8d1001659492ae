from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from rtl.accelerator.walker import Walker
from rtl.layouts import bytes_of

__all__ = ["Store"]

#: Loops of a store: pixels of a line, lines of a band, channel groups, two loops of passes, bands.
DIMS = 6
TAIL = 1, 5  # the last band may have fewer lines


class Store(wiring.Component):
    """Writes beats of ``lanes`` channels where nested loops say.

    A beat's bytes go to neighbouring addresses, in one cycle, or ``lane_step`` bytes apart, one a
    cycle. Channels from ``limit`` on are dropped: they fill up the last columns.

    Parameters
    ----------
    memory : :class:`ActivationMemory`
        Whose write port this drives.
    lanes, count_bits : :class:`int`

    Members
    -------
    config : ``In(layout)``
        ``walk``: loops over byte addresses, see :data:`DIMS`. ``lane_step``: bytes between lanes;
        0 stands for neighbours at a multiple of ``lanes``. ``limit``: channels of the outer pass
        loop's first iteration, less ``outer_channels`` for each further one.
    init : ``In(1)``
    busy : ``Out(1)``
        From the cycle after ``init`` until the last beat is written.
    outside : ``Out(1)``
        The address of now is outside the memory: nothing is written.
    i : ``In(stream.Signature({"data": bytes_of(lanes), "last": 1}))``
    write_en, write_addr, write_data : the memory's write port, from the other side
    """

    def __init__(self, memory, *, lanes, count_bits):
        self.lanes, self.word_bytes = lanes, memory.word_bytes
        word_address = memory.signature.members["write_addr"].shape
        self.within = exact_log2(memory.word_bytes)
        self.walker = Walker(dims=DIMS, address_bits=Shape.cast(word_address).width + self.within,
                             count_bits=count_bits, tail=TAIL)
        self.config_layout = data.StructLayout({
            "walk": self.walker.config_layout,
            "lane_step": count_bits,
            "limit": count_bits,
            "outer_channels": count_bits,
        })
        super().__init__({
            "config": In(self.config_layout),
            "init": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "i": In(stream.Signature(data.StructLayout({"data": bytes_of(lanes), "last": 1}))),
            "write_en": Out(memory.word_bytes),
            "write_addr": Out(word_address),
            "write_data": Out(bytes_of(memory.word_bytes)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = self.walker
        place, config = walker.o.payload, self.config

        lane = Signal(range(self.lanes))
        offset = Signal(range(self.lanes << len(config.lane_step)))  # of the lane written alone
        scatter, whole, done = Signal(), Signal(), Signal()
        m.d.comb += [
            walker.config.eq(config.walk),
            walker.init.eq(self.init),
            self.busy.eq(walker.o.valid),
            scatter.eq(config.lane_step != 0),
            whole.eq(self.i.valid & walker.o.valid),
            done.eq(whole & (~scatter | (lane == self.lanes - 1))),
            self.i.ready.eq(walker.o.valid & done),
            walker.o.ready.eq(done),
        ]
        with m.If(whole & scatter):
            m.d.sync += [lane.eq(Mux(done, 0, lane + 1)),
                         offset.eq(Mux(done, 0, offset + config.lane_step))]

        # The first channel of the beat, counted within an outer pass.
        groups, outer = Signal.like(config.limit), Signal.like(config.limit)
        room = Signal(signed(len(config.limit) + 2))
        m.d.comb += room.eq(config.limit - groups - outer)
        with m.If(done):
            with m.If(place.over[1]):
                m.d.sync += groups.eq(groups + self.lanes)
            with m.If(place.over[2]):
                m.d.sync += groups.eq(0)
            with m.If(place.over[3]):
                m.d.sync += outer.eq(outer + config.outer_channels)
            with m.If(place.over[4]):
                m.d.sync += outer.eq(0)
        with m.If(self.init):
            m.d.sync += [groups.eq(0), outer.eq(0)]

        # One lane's offset may lead outside as well as the walk.
        address = Signal(max(len(place.address), len(offset)) + 1)
        inside = len(place.address)
        wanted = Signal(self.word_bytes)
        m.d.comb += [
            address.eq(place.address + offset),
            self.write_addr.eq(address[self.within:]),
            self.outside.eq(wanted.any() & (place.outside | address[inside:].any())),
            self.write_en.eq(Mux(self.outside, 0, wanted)),
        ]
        for byte in range(self.word_bytes):
            home = byte % self.lanes
            hit = address[:self.within] == byte
            near = address[exact_log2(self.lanes):self.within] == byte // self.lanes
            m.d.comb += [
                self.write_data[byte].eq(self.i.payload.data[Mux(scatter, lane, home)]),
                wanted[byte].eq(whole & Mux(scatter, hit & (room > lane),
                                            near & (room > home))),
            ]
        return m
