"""The addresses of all transfers of a layer, from loop nests in one block RAM."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from rtl.accelerator.dma.activation_reader import DIMS as FETCH_DIMS
from rtl.accelerator.dma.activation_reader import tensor_word
from rtl.accelerator.dma.activation_writer import BANDS, LINES
from rtl.accelerator.dma.activation_writer import DIMS as STORE_DIMS
from rtl.accelerator.dma.address_generator import loop_pair
from rtl.accelerator.params import COUNT_BITS, AcceleratorParams
from rtl.im2col.tiles import tile_of
from rtl.memory import BlockRam, Reader
from rtl.validate import boolean, integer, of_type, power_of_two

__all__ = ["STEP_BITS", "TILE_DIMS", "WORD", "AddressedReader", "LoopNest",
           "SharedAddressGenerator", "line_step", "loop_flags", "loop_nest_words", "loop_nests"]

#: Bits of a distance: with a count, its sign and the bit ``used`` it fills a word.
STEP_BITS = 30 - COUNT_BITS

#: A loop in the descriptor.
WORD = data.StructLayout({"step": signed(STEP_BITS), "count": signed(COUNT_BITS + 1), "used": 1})

#: Loops of tiles: chunks of a run, runs, kernel lines; passes, channel groups, bands.
TILE_DIMS, PASS = 6, 3

#: Loop nests by priority: those first that stall others.
PRIORITY = "store", "params", "weights", "tiles", "fetch"


def line_step(params):
    """Layout of the second word of a loop of tiles: lines, and words of the line buffer."""
    line, base = params.line, Shape.cast(range(params.words))
    return data.StructLayout({"line": line, "base": base, "spare": 32 - line.width - base.width})


@dataclass(frozen=True)
class LoopNest:
    """A loop nest over addresses of ``address_bits``, in words of the descriptor from ``first`` on.

    With ``tail``, a pair of loops: while the second is in its last iteration, the first and those
    between them have alternative words. A ``double`` nest has second words, ``SECOND`` behind the
    first ones.
    """

    first: int
    dims: int
    address_bits: int
    tail: tuple | None = None
    double: bool = False

    SECOND = 8

    def __post_init__(self):
        object.__setattr__(self, "first", integer("first", self.first, 0, 1 << 10))
        object.__setattr__(self, "dims", integer("dims", self.dims, 1, self.SECOND - 1))
        object.__setattr__(self, "address_bits", integer("address_bits", self.address_bits, 1, 32))
        if self.tail is not None:
            object.__setattr__(self, "tail", loop_pair("tail", self.tail, self.dims))
        boolean("double", self.double)

    @property
    def alternatives(self):
        """Loops that have alternative words."""
        return range(*self.tail) if self.tail else range(0)

    @property
    def words(self):
        """Words of a descriptor: base, loops, alternatives."""
        return 2 * self.SECOND if self.double else 1 + self.dims + len(self.alternatives)

    def word(self, loop, alternative=False):
        """Index of the word of a ``loop``, or of its alternative."""
        return self.first + 1 + (self.dims + loop - self.alternatives[0] if alternative else loop)


def loop_nests(params):
    """The :class:`LoopNest` of each unit that transfers words, and that of tiles."""
    shapes = {"tiles": (TILE_DIMS, params.im2col.position.width - 1, None, True),
              "fetch": (FETCH_DIMS - 1, ceil_log2(params.words)),  # all but the cells of a window
              "store": (STORE_DIMS, ceil_log2(params.activation_bytes), (LINES, BANDS)),
              "weights": (3, ceil_log2(params.spaces["weights"])),
              "params": (2, ceil_log2(params.spaces["params"]))}
    nests, first = {}, 0
    for name, shape in shapes.items():
        nests[name] = LoopNest(first, *shape)
        first += nests[name].words
    return nests


def loop_nest_words(params):
    """Words of a descriptor that describe loop nests: its first ones."""
    return sum(nest.words for nest in loop_nests(params).values())


def loop_flags(params):
    """Layout of a flag for each loop, that it has more than one iteration; ``tail`` is that of the
    store's inner loop in the last band."""
    nests = loop_nests(params)
    return data.StructLayout({**{name: nest.dims for name, nest in nests.items()}, "tail": 1})


class SharedAddressGenerator(wiring.Component):
    """Steps the loop nests of all units: an address a cycle in all, one every second cycle for each
    unit, a tile every fourth.

    The words of a descriptor give for each loop the distance from the last address of all loops
    within it to the next one. So a step changes only an address and a count, and takes one read
    and one write of the memory that holds the words. The remaining count of a loop is kept in a
    second half of it; a loop that starts over is read from the descriptor again.

    Parameters
    ----------
    params : :class:`AcceleratorParams`
        With ``shared_agu``.

    Members
    -------
    write, number, word : ``In``
        A word of the descriptor, and its index. Not while addresses are in use.
    init : ``In``, a bit for each loop nest
        Begin.
    several : ``In(loop_flags(params))``
        Holds from ``init`` until the last address is taken.
    band, last_band : ``In``
        Lines of a band of tiles, and of the last one; hold likewise.
    tiles : ``Out(stream.Signature(tile_of(params.im2col)))``
    (other loop nest) : ``Out(stream)``
        ``address``; ``outside``: it is outside the memory, and those after it are meaningless;
        ``last``.
    busy : ``Out``, a bit for each loop nest
        From the cycle after ``init`` until the last address is taken.
    carried : ``Out(STORE_DIMS)``
        Which loops of the store start over with the address that is offered next; for a cycle.
    """

    def __init__(self, params):
        of_type("params", params, AcceleratorParams)
        if not params.shared_agu:
            raise ValueError(f"params must have shared_agu, not {params!r}")
        self.nests, self.words = loop_nests(params), loop_nest_words(params)
        self.im2col, tile = params.im2col, tile_of(params.im2col)
        bits = data.StructLayout(dict.fromkeys(self.nests, 1))
        super().__init__({
            "write": In(1),
            "number": In(range(self.words)),
            "word": In(32),
            "init": In(bits),
            "several": In(loop_flags(params)),
            "band": In(tile["rows"].shape),
            "last_band": In(tile["rows"].shape),
            "busy": Out(bits),
            "carried": Out(STORE_DIMS),
            **{name: Out(stream.Signature(tile if nest.double else data.StructLayout({
                "address": nest.address_bits, "outside": 1, "last": 1})))
               for name, nest in self.nests.items()},
        })

    def elaborate(self, platform):
        m = Module()
        bits = ceil_log2(self.words)
        m.submodules.words = words = BlockRam(width=32, depth=2 << bits)
        read = data.View(WORD, words.read_data)
        place, total = Signal(bits), Signal(signed(STEP_BITS))  # of a step: its word, its result
        count = Signal(read.count.shape())
        m.d.comb += [
            count.eq(read.count + 1),
            words.read_en.eq(1),
            words.write_addr.eq(Mux(self.write, self.number, place | 1 << bits)),
            words.write_data.eq(Mux(self.write, self.word, Cat(read.step, count))),
        ]
        earlier, stepping, origin = Const(0), Const(0), Const(0)
        for name in PRIORITY:
            steps = Signal(name=f"{name}_steps")
            build = self._tiles if self.nests[name].double else self._addresses
            wants, word, here = build(m, name, steps, place, words.read_data, total, count[-1])
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

    def _addresses(self, m, name, steps, place, read, total, more):
        """Returns whether a loop nest requests a step, its word, and the value that it starts from.
        """
        o = getattr(self, name).payload
        loops, live = self._loops(m, name, Cat(o.address, o.outside), steps, steps, read, total,
                                  more)
        m.d.comb += o.last.eq(~live.any())
        return loops

    def _tiles(self, m, name, steps, place, read, total, more):
        """As :meth:`_addresses`, in two steps: of the position in a line, then of the line."""
        o, second, nest = self.tiles.payload, Signal(), self.nests[name]
        (wants, word, here), live = self._loops(m, name, Cat(o.position), steps & ~second,
                                                steps & second, read, total, more)
        index = Signal(range(nest.SECOND))
        begins = Signal()
        step = data.View(line_step(self.im2col), read)
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
        return second | wants, Mux(second, index | nest.SECOND, word), here

    def _loops(self, m, name, place, steps, offers, read, total, more):
        """Step a loop nest to its next ``place`` when it ``steps``, and offer that when it
        ``offers``.

        Returns what :meth:`_addresses` does, and the loops that have iterations left.
        """
        nest, offered = self.nests[name], getattr(self, name)
        busy, several, init = self.busy[name], self.several[name], self.init[name]
        top = 1 << ceil_log2(self.words)
        live = Signal(nest.dims, name=f"{name}_live")
        fresh = Signal(nest.dims, name=f"{name}_fresh")  # loops that have not stepped yet
        begins, word = Signal(name=f"{name}_begins"), Signal(range(2 * top), name=f"{name}_word")
        tail = ~live[nest.tail[1]] if nest.tail else Const(0)
        with m.If(offered.valid & offered.ready):
            m.d.sync += [offered.valid.eq(0), busy.eq(live.any())]
        with m.If(steps):
            m.d.sync += [begins.eq(0), place.eq(total)]
        with m.If(offers):
            m.d.sync += offered.valid.eq(1)
        with m.If(begins):
            m.d.comb += word.eq(nest.first)
            with m.If(steps & ~data.View(WORD, read).used):
                m.d.sync += [busy.eq(0), offered.valid.eq(0)]
        for loop in range(nest.dims):
            with m.Elif(live[loop]):
                from_descriptor = nest.word(loop)
                if loop in nest.alternatives:
                    from_descriptor = Mux(tail, nest.word(loop, True), from_descriptor)
                m.d.comb += word.eq(from_descriptor | Mux(fresh[loop], 0, top))
                with m.If(steps):
                    m.d.sync += [live[loop].eq(more), fresh[loop].eq(0)]
                    for inner in range(loop):
                        again = several[inner]
                        if nest.tail and inner == nest.tail[0]:
                            last = ~more if loop == nest.tail[1] else tail
                            again = Mux(last, self.several.tail, again)
                        m.d.sync += [live[inner].eq(again), fresh[inner].eq(1)]
                    if name == "store":
                        m.d.comb += self.carried.eq((1 << loop) - 1)
        with m.If(init):
            m.d.sync += [busy.eq(1), begins.eq(1), offered.valid.eq(0), live.eq(several),
                         fresh.eq(-1)]
            if nest.tail:
                first, last = nest.tail
                m.d.sync += live[first].eq(Mux(several[last], several[first], self.several.tail))
        wants = busy & (begins | ((~offered.valid | offered.ready) & live.any()))
        return (wants, word, place & (steps & ~begins).replicate(len(place))), live


class AddressedReader(wiring.Component):
    """Reads words at the addresses of a :class:`SharedAddressGenerator`.

    Parameters
    ----------
    address_bits, slots, direct
        As of :class:`Reader`.
    word_bytes : :class:`int`
        Bytes of a word; a power of two.
    tensor : :class:`bool`
        Whether words are those of a tensor, for a unit that needs to know when that ends.

    Members
    -------
    places : ``In(stream)``
        As of :class:`SharedAddressGenerator`.
    walking : ``In(1)``
        There are more places.
    busy, outside, port : as of :class:`SequenceReader`
    o : ``Out(stream.Signature(tensor_word(...)))``, or of the bits of a word if not ``tensor``
        Of ``over`` only the last bit is in use: all loops end.
    """

    def __init__(self, *, address_bits, word_bytes, slots, direct=False, tensor=False):
        address_bits = integer("address_bits", address_bits, 1, 32)
        word_bytes = power_of_two("word_bytes", word_bytes, 1, 64)
        self.tensor = boolean("tensor", tensor)
        self.reader = Reader(address_bits=address_bits, width=8 * word_bytes, slots=slots,
                             direct=direct, tag=1)
        super().__init__({
            "places": In(stream.Signature(data.StructLayout({
                "address": address_bits, "outside": 1, "last": 1}))),
            "walking": In(1),
            "busy": Out(1),
            "outside": Out(1),
            "port": Out(self.reader.port.signature),
            "o": Out(stream.Signature(tensor_word(word_bytes) if tensor else 8 * word_bytes)),
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
        if self.tensor:
            m.d.comb += [self.o.payload.data.eq(words.data), self.o.payload.over[-1].eq(words.tag)]
        else:
            m.d.comb += self.o.payload.eq(words.data)
        return m
