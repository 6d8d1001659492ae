"""Addresses of all that a layer moves, one at a time, from one block RAM."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from rtl.accelerator.fetch import DIMS as FETCH_DIMS
from rtl.accelerator.fetch import fetched_of
from rtl.accelerator.params import COUNT_BITS
from rtl.accelerator.store import BANDS, LINES
from rtl.accelerator.store import DIMS as STORE_DIMS
from rtl.memory import BlockRam, Reader

__all__ = ["STEP_BITS", "WalkReader", "Walks", "several_of", "walks_of", "walks_words"]

#: Bits of a distance: with a count, its sign and the bit ``used`` it fills a word.
STEP_BITS = 30 - COUNT_BITS

WORD = data.StructLayout({"step": signed(STEP_BITS), "count": signed(COUNT_BITS + 1), "used": 1})


@dataclass(frozen=True)
class Walk:
    """Loops over addresses of ``address_bits``. With ``tail``, a pair of loops: while the second is
    in its last iteration the first, and those between them, have other words."""

    first: int
    dims: int
    address_bits: int
    tail: tuple | None = None

    @property
    def others(self):
        """Loops that have other words then."""
        return range(*self.tail) if self.tail else range(0)

    @property
    def words(self):
        """Words of a descriptor, from ``first`` on: base, loops, others."""
        return 1 + self.dims + len(self.others)

    def word(self, loop, other=False):
        return self.first + 1 + (self.dims + loop - self.others[0] if other else loop)


def walks_of(params):
    """The :class:`Walk` of each unit that moves words."""
    shapes = {"fetch": (FETCH_DIMS - 1, ceil_log2(params.words)),  # all but the cells of a window
              "store": (STORE_DIMS, ceil_log2(params.activation_bytes), (LINES, BANDS)),
              "weights": (3, ceil_log2(params.spaces["weights"])),
              "params": (2, ceil_log2(params.spaces["params"]))}
    walks, first = {}, 0
    for name, shape in shapes.items():
        walks[name] = Walk(first, *shape)
        first += walks[name].words
    return walks


def walks_words(params):
    """Words of a descriptor that say how to walk: its first ones."""
    return sum(walk.words for walk in walks_of(params).values())


def several_of(params):
    """Layout of which loops have more than one iteration; ``tail`` of that of a store in its last
    band."""
    walks = walks_of(params)
    return data.StructLayout({**{name: walk.dims for name, walk in walks.items()}, "tail": 1})


class Walks(wiring.Component):
    """Walks nested loops for all units, an address a cycle, and one in two cycles for each of them.

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
    (walk) : ``Out(stream)``
        ``address``; ``outside``: it is outside the memory, and those after it mean nothing;
        ``last``.
    busy : ``Out``, a bit for each walk
        From the cycle after ``init`` until the last address is taken.
    carried : ``Out(STORE_DIMS)``
        Which loops of the store begin anew with the address to be offered next; for a cycle.
    """

    def __init__(self, params):
        self.walks, self.words = walks_of(params), walks_words(params)
        self.layout = several_of(params)
        bits = data.StructLayout(dict.fromkeys(self.walks, 1))
        super().__init__({
            "write": In(1),
            "number": In(range(self.words)),
            "word": In(32),
            "init": In(bits),
            "several": In(self.layout),
            "busy": Out(bits),
            "carried": Out(STORE_DIMS),
            **{name: Out(stream.Signature(data.StructLayout({
                "address": walk.address_bits, "outside": 1, "last": 1})))
               for name, walk in self.walks.items()},
        })

    def elaborate(self, platform):
        m = Module()
        bits = ceil_log2(self.words)
        m.submodules.words = words = BlockRam(width=32, depth=2 << bits)
        read = data.View(WORD, words.read_data)
        stepping, place = Signal(len(self.walks)), Signal(bits)
        total = Signal(signed(STEP_BITS))
        count = Signal(read.count.shape())
        m.d.comb += [
            count.eq(read.count + 1),
            words.read_en.eq(1),
            words.write_en.eq(self.write | stepping.any()),
            words.write_addr.eq(Mux(self.write, self.number, place | 1 << bits)),
            words.write_data.eq(Mux(self.write, self.word, Cat(read.step, count))),
        ]
        grants, earlier, operand = [], Const(0), Const(0)
        for index, (name, walk) in enumerate(self.walks.items()):
            wants, address, origin = self._walk(m, name, walk, stepping[index], total,
                                                read.used, count[-1])
            operand = operand | origin
            grants.append(wants & ~earlier)
            with m.If(grants[-1]):
                m.d.comb += words.read_addr.eq(address)
            earlier = earlier | wants
        m.d.comb += total.eq(operand + read.step)
        m.d.sync += [stepping.eq(Cat(grants)), place.eq(words.read_addr)]
        return m

    def _walk(self, m, name, walk, steps, total, used, more):
        """Returns whether a walk wants a step, of which word, and what its step begins from."""
        o, several, init = getattr(self, name), self.several[name], self.init[name]
        top = 1 << ceil_log2(self.words)
        busy, begins = self.busy[name], Signal(name=f"{name}_begins")
        live = Signal(walk.dims, name=f"{name}_live")    # loops with iterations to come
        fresh = Signal(walk.dims, name=f"{name}_fresh")  # loops that have not stepped yet
        tail = ~live[walk.tail[1]] if walk.tail else Const(0)
        place = Cat(o.payload.address, o.payload.outside)
        wants, word = Signal(name=f"{name}_wants"), Signal(range(2 * top), name=f"{name}_word")
        taken = o.valid & o.ready
        m.d.comb += [
            o.payload.last.eq(~live.any()),
            wants.eq(busy & (begins | ((~o.valid | o.ready) & live.any())) & ~steps & ~init),
        ]
        with m.If(taken):
            m.d.sync += [o.valid.eq(0), busy.eq(live.any())]
        with m.If(begins):
            m.d.comb += word.eq(walk.first)
            with m.If(steps):
                m.d.sync += [begins.eq(0), busy.eq(used), o.valid.eq(used), place.eq(total)]
        for loop in range(walk.dims):
            with m.Elif(live[loop]):
                from_descriptor = Mux(tail, walk.word(loop, True), walk.word(loop)) if (
                    loop in walk.others) else walk.word(loop)
                m.d.comb += word.eq(from_descriptor | Mux(fresh[loop], 0, top))
                with m.If(steps):
                    m.d.sync += [o.valid.eq(1), place.eq(total), live[loop].eq(more),
                                 fresh[loop].eq(0)]
                    for inner in range(loop):
                        again = several[inner]
                        if walk.tail and inner == walk.tail[0]:
                            last = ~more if loop == walk.tail[1] else tail
                            again = Mux(last, self.several.tail, again)
                        m.d.sync += [live[inner].eq(again), fresh[inner].eq(1)]
                    if name == "store":
                        m.d.comb += self.carried.eq((1 << loop) - 1)
        with m.If(init):
            m.d.sync += [busy.eq(1), begins.eq(1), o.valid.eq(0), live.eq(several), fresh.eq(-1)]
            if walk.tail:
                first, last = walk.tail
                m.d.sync += live[first].eq(Mux(several[last], several[first], self.several.tail))
        return wants, word, place & (steps & ~begins).replicate(len(place))


class WalkReader(wiring.Component):
    """Reads words where a walk goes.

    Members
    -------
    places : ``In(stream)``
        As of :class:`Walks`.
    walking : ``In(1)``
        There are more places.
    busy, outside, port, more : as of :class:`SequenceReader`
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
            "more": In(1),
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
            reader.more.eq(self.more),
            self.o.valid.eq(reader.o.valid),
            reader.o.ready.eq(self.o.ready),
        ]
        if self.fetched:
            m.d.comb += [self.o.payload.data.eq(words.data), self.o.payload.over[-1].eq(words.tag)]
        else:
            m.d.comb += self.o.payload.eq(words.data)
        return m
