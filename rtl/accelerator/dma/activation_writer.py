from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from rtl.accelerator.dma.address_generator import AddressGenerator, loop_nest
from rtl.layouts import bytes_of
from rtl.memory import Reader, memory_port
from rtl.params import MAX_PIXEL_LANES
from rtl.validate import boolean, divisor, integer, of_type, power_of_two

__all__ = ["ActivationWriter", "writer_config"]

#: Depth of the loop nest: pixels of a line, lines of a band, channel groups, two loops of passes,
#: bands.
DIMS = 6
LINES, BANDS = 1, 5  # the last band may have fewer lines


def writer_config(address_bits, count_bits, drain_lanes, pixel_lanes=1, shared_agu=False):
    """Layout of the configuration by which a layer's beats are written.

    ``walk``: the loop nest over byte addresses, see :data:`DIMS`; with several pixel lanes, a loop
    over these is the innermost. A ``shared_agu`` build has it elsewhere. ``lane_step``: bytes
    between the channels of a beat; 0 stands for neighbours at a multiple of ``drain_lanes``.
    ``limit``: channels of the outer pass loop's first iteration, for each further one ``cols`` less
    if ``fewer``. ``last_lane``: pixel lanes after it have no line of output in their last turn.
    """
    several = pixel_lanes > 1
    return data.StructLayout({
        **({} if shared_agu else {
            "walk": loop_nest(DIMS + several, address_bits, count_bits, tail=True)}),
        **({"lane_step": count_bits} if drain_lanes > 1 else {}),
        "limit": count_bits,
        "fewer": 1,
        **({"last_lane": range(pixel_lanes)} if several else {}),
    })


class ActivationWriter(wiring.Component):
    """Writes beats of ``drain_lanes`` channels at the addresses of a loop nest.

    The bytes of a beat go to neighbouring addresses, in one cycle, or ``lane_step`` bytes apart,
    one a cycle, unless the memory stalls. Channels from ``limit`` on are dropped: they are those of
    columns that the last pass leaves unused. So are lines of the last pixel lanes beyond the last
    line of output.

    A beat can be added to the word that it replaces: with ``sum`` these words are read, up to
    ``residual_depth`` beats before they are written.

    Parameters
    ----------
    address_bits, word_bytes : :class:`int`
        Bits of the address of a word; bytes of a word, a power of two.
    drain_lanes : :class:`int`
        Channels of a beat; a divisor of ``word_bytes``.
    cols, pixel_lanes, count_bits : :class:`int`
        Columns and pixel lanes of the core; bits of a number of iterations.
    shared_agu : :class:`bool`
        Whether addresses come on ``places``, and of the loops only which ones are ``carried``.
    residual_depth : :class:`int`
        0 leaves out ``sum``, ``residual`` and ``words``.
    reader : dict or None
        With ``residual_depth``: options of the :class:`Reader`.

    Members
    -------
    config : ``In(writer_config(...))``
    init : ``In(1)``
    places, walking, carried : ``In(stream)``, ``In(1)``, ``In(DIMS)``
        With ``shared_agu``: as of :class:`SharedAddressGenerator`.
    busy : ``Out(1)``
        From the cycle after ``init`` until the last beat is written.
    outside : ``Out(1)``
        The address of the last cycle was outside the memory, and nothing was written.
    i : ``In(stream.Signature({"data": bytes_of(drain_lanes), "last": 1}))``
    port : ``Out(memory_port(...))``
    sum : ``In(1)``
        Read the words that beats replace; holds like ``config``.
    residual : ``Out(memory_port(...))``
    words : ``Out(stream)``
        For each beat: ``data``, the word; ``at``, which beat of a word it is; ``last``.
    """

    def __init__(self, *, address_bits, word_bytes, drain_lanes, cols, count_bits, pixel_lanes=1,
                 shared_agu=False, residual_depth=0, reader=None):
        address_bits = integer("address_bits", address_bits, 1, 24)
        self.word_bytes = word_bytes = power_of_two("word_bytes", word_bytes, 1, 64)
        self.drain_lanes = drain_lanes = divisor(
            "drain_lanes", drain_lanes, word_bytes, "bytes of a word")
        self.cols = integer("cols", cols, 1, 32)
        count_bits = integer("count_bits", count_bits, 1, 32)
        self.pixel_lanes = pixel_lanes = integer("pixel_lanes", pixel_lanes, 1, MAX_PIXEL_LANES)
        boolean("shared_agu", shared_agu)
        self.residual_depth = integer("residual_depth", residual_depth, 0, 1024)
        if residual_depth:
            of_type("reader", reader, dict, "a dict of options, with residual_depth")
        elif reader is not None:
            raise ValueError(f"reader must be None without residual_depth, not {reader!r}")
        self.within = exact_log2(word_bytes)     # bits of an address within a word
        byte_bits = address_bits + self.within
        self.inner = int(pixel_lanes > 1)        # loops within those of DIMS
        self.addresses = None if shared_agu else AddressGenerator(
            dims=self.inner + DIMS, address_bits=byte_bits, count_bits=count_bits,
            tail=(self.inner + LINES, self.inner + BANDS))
        self.config_layout = writer_config(byte_bits, count_bits, drain_lanes, pixel_lanes,
                                           shared_agu)
        places = data.StructLayout({"address": byte_bits, "outside": 1, "last": 1})
        super().__init__({
            **({"places": In(stream.Signature(places)), "walking": In(1), "carried": In(DIMS)}
               if shared_agu else {}),
            "config": In(self.config_layout),
            "init": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "i": In(stream.Signature(data.StructLayout({"data": bytes_of(drain_lanes),
                                                        "last": 1}))),
            "port": Out(memory_port(address_bits, 8 * word_bytes, word_bytes)),
            **(self._residual(address_bits, reader) if residual_depth else {}),
        })

    def _residual(self, address_bits, reader):
        """Members by which the words that beats replace are read."""
        self.tag = data.StructLayout(
            {"at": exact_log2(self.word_bytes // self.drain_lanes), "last": 1})
        self.reader = Reader(address_bits=address_bits, width=8 * self.word_bytes,
                             tag=self.tag.size, **reader)
        return {
            "sum": In(1),
            "residual": Out(self.reader.port.signature),
            "words": Out(stream.Signature(data.StructLayout({
                "data": bytes_of(self.word_bytes), **self.tag.members}))),
        }

    def elaborate(self, platform):
        m = Module()
        config, planned, taken, stored = self.config, Signal(), Signal(), Signal()
        addresses, more, carried = self._elaborate_addresses(m, planned)
        coming, following = self._elaborate_places(m, addresses, carried, planned, taken)

        whole, goes, scatter = Signal(), Signal(), Const(0)
        lane = Signal(range(self.drain_lanes))             # the lane to write on its own
        if self.drain_lanes == 1:
            there, place, inside = coming, following, len(following.address)
            m.d.comb += [taken.eq(stored), stored.eq(goes)]
        else:
            # The place is held in a register, to whose address a step is added for each lane.
            scatter, last = Signal(), lane == self.drain_lanes - 1
            inside, step = len(following.address), config.lane_step
            bits = max(inside, len(step) + exact_log2(self.drain_lanes)) + 1
            there = Signal()
            place = Signal(data.StructLayout({**following.shape().members, "address": bits}))
            m.d.comb += [
                scatter.eq(step != 0),
                stored.eq(goes & (~scatter | last)),
                taken.eq(coming & (stored | ~there)),
            ]
            with m.If(goes & scatter):
                m.d.sync += [lane.eq(Mux(last, 0, lane + 1)),
                             place.address.eq(place.address + step)]
            with m.If(stored | ~there):
                m.d.sync += [there.eq(coming), place.address.eq(following.address),
                             place.outside.eq(following.outside), place.keep.eq(following.keep)]
        m.d.comb += [
            self.busy.eq(more | coming | there),
            whole.eq(self.i.valid & there),
            self.i.ready.eq(stored),
        ]

        # The step to a lane may lead outside, as the loop nest may.
        address, beyond = place.address, Signal()
        request, write = self.port.requests, self.port.requests.payload
        m.d.comb += [
            write.address.eq(address[self.within:inside]),
            beyond.eq(place.outside | address[inside:].any()),
            request.valid.eq(whole & ~beyond),
            goes.eq(whole & request.ready),
        ]
        m.d.sync += self.outside.eq(write.mask.any() & beyond)
        for byte in range(self.word_bytes):
            home = byte % self.drain_lanes
            hit = address[:self.within] == byte
            near = address[exact_log2(self.drain_lanes):self.within] == byte // self.drain_lanes
            m.d.comb += [
                write.data.word_select(byte, 8).eq(
                    self.i.payload.data[Mux(scatter, lane, home)]),
                write.mask[byte].eq(whole & Mux(scatter, hit & place.keep.bit_select(lane, 1),
                                                near & place.keep[home])),
            ]
        return m

    def _elaborate_addresses(self, m, planned):
        """Returns a stream of addresses, whether there are more, and which loops start over with
        the next one."""
        if self.addresses is None:
            m.d.comb += self.places.ready.eq(planned)
            return self.places, self.walking, self.carried
        m.submodules.walker = walker = self.addresses
        m.d.comb += [walker.config.eq(self.config.walk), walker.init.eq(self.init),
                     walker.o.ready.eq(planned)]
        over = walker.o.payload.over[self.inner:]
        return walker.o, walker.o.valid, over & planned.replicate(DIMS)

    def _elaborate_places(self, m, addresses, carried, planned, taken):
        """Where beats go, and which of their lanes; ``planned`` takes one of the ``addresses``,
        ``taken`` a place. Returns whether there is one, and the next one."""
        place, config = addresses.payload, self.config
        layout = data.StructLayout({"address": len(place.address), "outside": 1,
                                    "keep": self.drain_lanes})
        here = Signal(layout)
        m.d.comb += [here.address.eq(place.address), here.outside.eq(place.outside)]

        # Channels from the beat's first one to the limit, and from that of its outer pass.
        room = Signal(signed(len(config.limit) + 1))
        of_pass, begun = Signal.like(room), Signal.like(room)
        m.d.comb += begun.eq(Mux(carried[4], config.limit, Mux(
            carried[3], of_pass - Mux(config.fewer, self.cols, 0), of_pass)))
        with m.If(carried[2]):
            m.d.sync += [room.eq(begun), of_pass.eq(begun)]
        with m.Elif(carried[1]):
            m.d.sync += room.eq(room - self.drain_lanes)
        with m.If(self.init):
            m.d.sync += [room.eq(config.limit), of_pass.eq(config.limit)]

        kept = Const(1)
        if self.pixel_lanes > 1:
            turn, ends = Signal(range(self.pixel_lanes)), place.ends[self.inner:]
            with m.If(planned):
                m.d.sync += turn.eq(Mux(place.over[0], 0, turn + 1))
            kept = ~(ends[LINES] & ends[BANDS] & (turn > config.last_lane))
        m.d.comb += [here.keep[lane].eq(kept & (room > lane)) for lane in range(self.drain_lanes)]
        if not self.residual_depth:
            m.d.comb += planned.eq(taken)
            return addresses.valid, here

        m.submodules.places = places = SyncFIFO(width=layout.size, depth=self.residual_depth)
        m.submodules.reader = reader = self.reader
        connect(m, reader.port, flipped(self.residual))
        tag = data.View(self.tag, reader.i.payload.tag)
        m.d.comb += [
            reader.i.valid.eq(addresses.valid & self.sum & places.w_rdy),
            reader.i.payload.address.eq(place.address[self.within:]),
            tag.at.eq(place.address[exact_log2(self.drain_lanes):self.within]),
            tag.last.eq(place.over[-1] if self.addresses else place.last),
            planned.eq(addresses.valid & places.w_rdy & (~self.sum | reader.i.ready)),
            places.w_en.eq(planned),
            places.w_data.eq(here),
            places.r_en.eq(taken),
            self.words.valid.eq(reader.o.valid),
            self.words.payload.eq(Cat(reader.o.payload.data, reader.o.payload.tag)),
            reader.o.ready.eq(self.words.ready),
        ]
        return places.r_rdy, data.View(layout, places.r_data)
