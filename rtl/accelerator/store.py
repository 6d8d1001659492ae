from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from rtl.accelerator.walker import Walker, loops_of
from rtl.layouts import bytes_of
from rtl.memory import memory_port

__all__ = ["Store", "store_of"]

#: Loops of a store: pixels of a line, lines of a band, channel groups, two loops of passes, bands.
DIMS = 6
LINES, BANDS = 1, 5  # the last band may have fewer lines


def store_of(address_bits, count_bits, pixel_lanes=1):
    """Layout of how a layer's beats are written.

    ``walk``: loops over byte addresses, see :data:`DIMS`; with several pixel lanes, a loop over
    these within all others. ``lane_step``: bytes between the channels of a beat; 0 stands for
    neighbours at a multiple of ``lanes``. ``limit``: channels of the outer pass loop's first
    iteration, less ``outer_channels`` for each further one. ``last_lane``: pixel lanes after it
    have no line of output in their last turn.
    """
    several = pixel_lanes > 1
    return data.StructLayout({
        "walk": loops_of(DIMS + several, address_bits, count_bits, tail=True),
        "lane_step": count_bits,
        "limit": count_bits,
        "outer_channels": count_bits,
        **({"last_lane": range(pixel_lanes)} if several else {}),
    })


class Store(wiring.Component):
    """Writes beats of ``lanes`` channels where nested loops say.

    A beat's bytes go to neighbouring addresses, in one cycle, or ``lane_step`` bytes apart, one a
    cycle, unless the memory is busy. Channels from ``limit`` on are dropped: they fill up the last
    columns. So are lines that the last pixel lanes have beyond the last one of output.

    Parameters
    ----------
    address_bits, word_bytes : :class:`int`
        Of addresses of words; bytes of a word.
    lanes, pixel_lanes, count_bits : :class:`int`

    Members
    -------
    config : ``In(store_of(...))``
    init : ``In(1)``
    busy : ``Out(1)``
        From the cycle after ``init`` until the last beat is written.
    outside : ``Out(1)``
        The address of now is outside the memory: nothing is written.
    i : ``In(stream.Signature({"data": bytes_of(lanes), "last": 1}))``
    port : ``Out(memory_port(...))``
    """

    def __init__(self, *, address_bits, word_bytes, lanes, count_bits, pixel_lanes=1):
        self.lanes, self.word_bytes, self.pixel_lanes = lanes, word_bytes, pixel_lanes
        self.within = exact_log2(word_bytes)
        byte_bits = address_bits + self.within
        self.inner = int(pixel_lanes > 1)        # loops within those of DIMS
        self.walker = Walker(dims=self.inner + DIMS, address_bits=byte_bits,
                             count_bits=count_bits, tail=(self.inner + LINES, self.inner + BANDS))
        self.config_layout = store_of(byte_bits, count_bits, pixel_lanes)
        super().__init__({
            "config": In(self.config_layout),
            "init": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "i": In(stream.Signature(data.StructLayout({"data": bytes_of(lanes), "last": 1}))),
            "port": Out(memory_port(address_bits, 8 * word_bytes, word_bytes)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = self.walker
        place, config = walker.o.payload, self.config

        lane = Signal(range(self.lanes))
        offset = Signal(range(self.lanes << len(config.lane_step)))  # of the lane written alone
        scatter, whole, goes, done = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            walker.config.eq(config.walk),
            walker.init.eq(self.init),
            self.busy.eq(walker.o.valid),
            scatter.eq(config.lane_step != 0),
            whole.eq(self.i.valid & walker.o.valid),
            done.eq(goes & (~scatter | (lane == self.lanes - 1))),
            self.i.ready.eq(walker.o.valid & done),
            walker.o.ready.eq(done),
        ]
        with m.If(goes & scatter):
            m.d.sync += [lane.eq(Mux(done, 0, lane + 1)),
                         offset.eq(Mux(done, 0, offset + config.lane_step))]

        # The first channel of the beat, counted within an outer pass.
        over = place.over[self.inner:]
        groups, outer = Signal.like(config.limit), Signal.like(config.limit)
        room = Signal(signed(len(config.limit) + 2))
        m.d.comb += room.eq(config.limit - groups - outer)
        with m.If(done):
            with m.If(over[1]):
                m.d.sync += groups.eq(groups + self.lanes)
            with m.If(over[2]):
                m.d.sync += groups.eq(0)
            with m.If(over[3]):
                m.d.sync += outer.eq(outer + config.outer_channels)
            with m.If(over[4]):
                m.d.sync += outer.eq(0)
        with m.If(self.init):
            m.d.sync += [groups.eq(0), outer.eq(0)]

        written = whole
        if self.pixel_lanes > 1:
            turn, ends = Signal(range(self.pixel_lanes)), place.ends[self.inner:]
            with m.If(done):
                m.d.sync += turn.eq(Mux(place.over[0], 0, turn + 1))
            written = whole & ~(ends[LINES] & ends[BANDS] & (turn > config.last_lane))

        # One lane's offset may lead outside as well as the walk.
        address = Signal(max(len(place.address), len(offset)) + 1)
        inside = len(place.address)
        request, write = self.port.requests, self.port.requests.payload
        m.d.comb += [
            address.eq(place.address + offset),
            write.address.eq(address[self.within:]),
            self.outside.eq(write.mask.any() & (place.outside | address[inside:].any())),
            request.valid.eq(write.mask.any() & ~self.outside),
            goes.eq(whole & (request.ready | ~request.valid)),
        ]
        for byte in range(self.word_bytes):
            home = byte % self.lanes
            hit = address[:self.within] == byte
            near = address[exact_log2(self.lanes):self.within] == byte // self.lanes
            m.d.comb += [
                write.data.word_select(byte, 8).eq(
                    self.i.payload.data[Mux(scatter, lane, home)]),
                write.mask[byte].eq(written & Mux(scatter, hit & (room > lane),
                                                  near & (room > home))),
            ]
        return m
