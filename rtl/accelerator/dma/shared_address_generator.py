"""Addresses of all that a layer moves, one at a time, from one block RAM."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from rtl.accelerator.dma.activation_reader import DIMS as FETCH_DIMS
from rtl.accelerator.dma.activation_reader import fetched_of
from rtl.accelerator.dma.activation_writer import BANDS, LINES
from rtl.accelerator.dma.activation_writer import DIMS as STORE_DIMS
from rtl.accelerator.params import COUNT_BITS
from rtl.im2col.tiles import tile_of
from rtl.memory import BlockRam, Reader

__all__ = ["STEP_BITS", "TILE_DIMS", "WORD", "AddressedReader", "SharedAddressGenerator",
           "line_step_of", "several_of",
           "loop_nests", "loop_nest_words"]

#: Bits of a distance: with a count, its sign and the bit ``used`` it fills a word.
STEP_BITS = 30 - COUNT_BITS

WORD = data.StructLayout({"step": signed(STEP_BITS), "count": signed(COUNT_BITS + 1), "used": 1})


#: Loops of tiles: chunks of a run, runs, kernel lines; passes, channel groups, bands.
TILE_DIMS, PASS = 6, 3

#: Who goes first: those that keep others waiting.
ORDER = "store", "params", "weights", "tiles", "fetch"


def line_step_of(params):
    """Layout of the second word of a loop of tiles: lines, and words of the line buffer."""
    line, base = params.line, Shape.cast(range(params.words))
    return data.StructLayout({"line": line, "base": base, "spare": 32 - line.width - base.width})


@dataclass(frozen=True)
class LoopNest:
    """Loops over addresses of ``address_bits``. With ``tail``, a pair of loops: while the second is
    in its last iteration the first, and those between them, have other words. A ``double`` one has
    second words, ``SECOND`` behind the first ones."""

    first: int
    dims: int
    address_bits: int
    tail: tuple | None = None
    double: bool = False

    SECOND = 8

    @property
    def others(self):
        """Loops that have other words then."""
        return range(*self.tail) if self.tail else range(0)

    @property
    def words(self):
        """Words of a descriptor, from ``first`` on: base, loops, others."""
        return 2 * self.SECOND if self.double else 1 + self.dims + len(self.others)

    def word(self, loop, other=False):
        return self.first + 1 + (self.dims + loop - self.others[0] if other else loop)


def loop_nests(params):
    """The :class:`LoopNest` of each unit that moves words, and that of tiles."""
    shapes = {"tiles": (TILE_DIMS, params.im2col.position.width - 1, None, True),
              "fetch": (FETCH_DIMS - 1, ceil_log2(params.words)),  # all but the cells of a window
              "store": (STORE_DIMS, ceil_log2(params.activation_bytes), (LINES, BANDS)),
              "weights": (3, ceil_log2(params.spaces["weights"])),
              "params": (2, ceil_log2(params.spaces["params"]))}
    walks, first = {}, 0
    for name, shape in shapes.items():
        walks[name] = LoopNest(first, *shape)
        first += walks[name].words
    return walks


def loop_nest_words(params):
    """Words of a descriptor that say how to walk: its first ones."""
    return sum(walk.words for walk in loop_nests(params).values())


def several_of(params):
    """Layout of which loops have more than one iteration; ``tail`` of that of a store in its last
    band."""
    walks = loop_nests(params)
    return data.StructLayout({**{name: walk.dims for name, walk in walks.items()}, "tail": 1})


class SharedAddressGenerator(wiring.Component):
    """Walks nested loops for all units, an address a cycle, and one in two cycles
    for each of them; a tile in four.

    The words of a descriptor say for each loop how far it is from the last address of all loops
    within to the next one: so an address and a count are all that a step changes, and a step takes
    one read and one write of the memory in which the words lie. What is left of a loop's count is
    kept there too, apart; a loop that begins anew is read from the descriptor again.

    Members
    -------
    write, number, word : ``In``
        A word of the descriptor, and which one. Not while a walk matters.
    init : ``In``, a bit for each walk
        Begin.
    several : ``In(several_of(params))``
        Holds from ``init`` until the last address is taken.
    band, last_band : ``In``
        Lines of a band of tiles, and of the last one; hold likewise.
    tiles : ``Out(stream.Signature(tile_of(params.im2col)))``
    (other walk) : ``Out(stream)``
        ``address``; ``outside``: it is outside the memory, and those after it mean nothing;
        ``last``.
    busy : ``Out``, a bit for each walk
        From the cycle after ``init`` until the last address is taken.
    carried : ``Out(STORE_DIMS)``
        Which loops of the store begin anew with the address to be offered next; for a cycle.
    """

    def __init__(self, params):
        self.walks, self.words = loop_nests(params), loop_nest_words(params)
        self.im2col, tile = params.im2col, tile_of(params.im2col)
        bits = data.StructLayout(dict.fromkeys(self.walks, 1))
        super().__init__({
            "write": In(1),
            "number": In(range(self.words)),
            "word": In(32),
            "init": In(bits),
            "several": In(several_of(params)),
            "band": In(tile["rows"].shape),
            "last_band": In(tile["rows"].shape),
            "busy": Out(bits),
            "carried": Out(STORE_DIMS),
            **{name: Out(stream.Signature(tile if walk.double else data.StructLayout({
                "address": walk.address_bits, "outside": 1, "last": 1})))
               for name, walk in self.walks.items()},
        })

    def elaborate(self, platform):
        m = Module()
        bits = ceil_log2(self.words)
        m.submodules.words = words = BlockRam(width=32, depth=2 << bits)
        read = data.View(WORD, words.read_data)
        place, total = Signal(bits), Signal(signed(STEP_BITS))  # a step: its word, where it leads
        count = Signal(read.count.shape())
        m.d.comb += [
            count.eq(read.count + 1),
            words.read_en.eq(1),
            words.write_addr.eq(Mux(self.write, self.number, place | 1 << bits)),
            words.write_data.eq(Mux(self.write, self.word, Cat(read.step, count))),
        ]
        earlier, stepping, origin = Const(0), Const(0), Const(0)
        for name in ORDER:
            steps = Signal(name=f"{name}_steps")
            walk = self._tiles if self.walks[name].double else self._walk
            wants, word, here = walk(m, name, steps, place, words.read_data, total, count[-1])
            wants = wants & ~steps & ~self.init[name]
            granted = Signal(name=f"{name}_granted")
            m.d.comb += granted.eq(wants & ~earlier)
            with m.If(granted):
                m.d.comb += words.read_addr.eq(word)
            m.d.sync += steps.eq(granted)
            earlier, stepping, origin = earlier | wants, stepping | steps, origin | here
        m.d.comb += [total.eq(origin + read.step), words.write_en.eq(self.write | stepping)]
        m.d.sync += place.eq(words.read_addr)
        return m

    def _walk(self, m, name, steps, place, read, total, more):
        """Returns whether a walk wants a step, of which word, and what its step begins from."""
        o = getattr(self, name).payload
        loops, live = self._loops(m, name, Cat(o.address, o.outside), steps, steps, read, total,
                                  more)
        m.d.comb += o.last.eq(~live.any())
        return loops

    def _tiles(self, m, name, steps, place, read, total, more):
        """As :meth:`_walk`, in two steps: of the position in a line, then of the line."""
        o, second, walk = self.tiles.payload, Signal(), self.walks[name]
        (wants, word, here), live = self._loops(m, name, Cat(o.position), steps & ~second,
                                                steps & second, read, total, more)
        index = Signal(range(walk.SECOND))
        begins = Signal()
        step = data.View(line_step_of(self.im2col), read)
        with m.If(steps):
            m.d.sync += second.eq(~second)
            with m.If(second):
                m.d.sync += [o.line.eq(Mux(begins, 0, o.line) + step.line),
                             o.base.eq(Mux(begins, 0, o.base) + step.base), begins.eq(0)]
            with m.Else():
                m.d.sync += [index.eq(place), o.start.eq(begins | ~live[:PASS].any())]
        with m.If(self.init[name]):
            m.d.sync += [begins.eq(1), second.eq(0)]
        m.d.comb += [
            o.rows.eq(Mux(live[-1], self.band, self.last_band)),
            o.short.eq(~live[0]),
            o.done.eq(~live[:PASS].any()),
            o.band_end.eq(~live[:-1].any()),
        ]
        return second | wants, Mux(second, index | walk.SECOND, word), here

    def _loops(self, m, name, place, steps, offers, read, total, more):
        """LoopNest to the next ``place`` when it ``steps``, and offer it when it ``offers``.

        Returns whether it wants to, the word of its step and what that begins from; and the loops
        with iterations to come.
        """
        walk, offered = self.walks[name], getattr(self, name)
        busy, several, init = self.busy[name], self.several[name], self.init[name]
        top = 1 << ceil_log2(self.words)
        live = Signal(walk.dims, name=f"{name}_live")
        fresh = Signal(walk.dims, name=f"{name}_fresh")  # loops that have not stepped yet
        begins, word = Signal(name=f"{name}_begins"), Signal(range(2 * top), name=f"{name}_word")
        tail = ~live[walk.tail[1]] if walk.tail else Const(0)
        with m.If(offered.valid & offered.ready):
            m.d.sync += [offered.valid.eq(0), busy.eq(live.any())]
        with m.If(steps):
            m.d.sync += [begins.eq(0), place.eq(total)]
        with m.If(offers):
            m.d.sync += offered.valid.eq(1)
        with m.If(begins):
            m.d.comb += word.eq(walk.first)
            with m.If(steps & ~data.View(WORD, read).used):
                m.d.sync += [busy.eq(0), offered.valid.eq(0)]
        for loop in range(walk.dims):
            with m.Elif(live[loop]):
                from_descriptor = Mux(tail, walk.word(loop, True), walk.word(loop)) if (
                    loop in walk.others) else walk.word(loop)
                m.d.comb += word.eq(from_descriptor | Mux(fresh[loop], 0, top))
                with m.If(steps):
                    m.d.sync += [live[loop].eq(more), fresh[loop].eq(0)]
                    for inner in range(loop):
                        again = several[inner]
                        if walk.tail and inner == walk.tail[0]:
                            last = ~more if loop == walk.tail[1] else tail
                            again = Mux(last, self.several.tail, again)
                        m.d.sync += [live[inner].eq(again), fresh[inner].eq(1)]
                    if name == "store":
                        m.d.comb += self.carried.eq((1 << loop) - 1)
        with m.If(init):
            m.d.sync += [busy.eq(1), begins.eq(1), offered.valid.eq(0), live.eq(several),
                         fresh.eq(-1)]
            if walk.tail:
                first, last = walk.tail
                m.d.sync += live[first].eq(Mux(several[last], several[first], self.several.tail))
        wants = busy & (begins | ((~offered.valid | offered.ready) & live.any()))
        return (wants, word, place & (steps & ~begins).replicate(len(place))), live


class AddressedReader(wiring.Component):
    """Reads words where a walk goes.

    Members
    -------
    places : ``In(stream)``
        As of :class:`SharedAddressGenerator`.
    walking : ``In(1)``
        There are more places.
    busy, outside, port : as of :class:`SequenceReader`
    o : ``Out(stream.Signature(fetched_of(...)))``, or of the bits of a word if not ``fetched``
        Of what is over only all loops together are told.
    """

    def __init__(self, *, address_bits, word_bytes, fetched=False, **options):
        self.fetched = fetched
        self.reader = Reader(address_bits=address_bits, width=8 * word_bytes, tag=1, **options)
        super().__init__({
            "places": In(stream.Signature(data.StructLayout({
                "address": address_bits, "outside": 1, "last": 1}))),
            "walking": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "port": Out(self.reader.port.signature),
            "o": Out(stream.Signature(fetched_of(word_bytes) if fetched else 8 * word_bytes)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = self.reader
        connect(m, reader.port, flipped(self.port))
        place, words = self.places.payload, reader.o.payload
        m.d.comb += [
            self.busy.eq(self.walking | reader.busy),
            self.outside.eq(self.places.valid & place.outside),
            reader.i.valid.eq(self.places.valid & ~place.outside),
            reader.i.payload.address.eq(place.address),
            reader.i.payload.tag.eq(place.last),
            self.places.ready.eq(reader.i.ready & ~place.outside),
            self.o.valid.eq(reader.o.valid),
            reader.o.ready.eq(self.o.ready),
        ]
        if self.fetched:
            m.d.comb += [self.o.payload.data.eq(words.data), self.o.payload.over[-1].eq(words.tag)]
        else:
            m.d.comb += self.o.payload.eq(words.data)
        return m
