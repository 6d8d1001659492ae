from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.im2col.params import Im2colParams
from rtl.layouts import bytes_of
from rtl.memory import BlockRam
from rtl.stream.pipeline import pipeline
from rtl.validate import of_type

__all__ = ["LineBuffer"]


class LineBuffer(wiring.Component):
    """A ring buffer of input words that is read as ``vector_bytes`` consecutive bytes from any byte
    address.

    Words come in raster order, each line beginning with a new word. There is a bank of block RAM
    for each byte of a word, so that consecutive bytes lie in different banks; a rotator puts them
    in order. Each pixel lane has a rotator and banks of its own, which hold the same words.

    A line is kept until ``keep_from`` has passed it; the space of one line is freed every second
    cycle. Throughput is a word a cycle while there is space, but none is taken in the cycle after
    the last of a line, nor beyond the end of the last image. ``i.ready`` is a register.

    Parameters
    ----------
    params : :class:`Im2colParams`

    Members
    -------
    i : ``In(stream.Signature(bytes_of(word_bytes)))``
    init : ``In(1)``
        Empty the buffer; the fields of the layer hold from now on.
    lines, line_words, pictures : ``In``
        Fields of the layer.
    keep_from, picture_over : ``In``
        First line of the image that is still needed, at most ``lines``; whether none is.
    present : ``Out``
        Lines of the image that have come.
    rolled, last_picture : ``Out(1)``
        A strobe: the image is over, and lines are counted for the next one; whether this image is
        the last.
    addresses, read_en : ``In``
        Byte address of the first byte of a vector, for each pixel lane.
    vector : ``Out(bytes_of(pixel_lanes * vector_bytes))``
        The bytes of the first lane, then those of the next, ``latency`` enabled cycles later.
    """

    def __init__(self, params):
        self.params = of_type("params", params, Im2colParams)
        self.latency = 2 if params.output_register else 1
        config = params.config
        # Words of the next image may come before this one is over.
        self._lines = range(2 * params.max_lines + 2)
        super().__init__({
            "i": In(stream.Signature(bytes_of(params.word_bytes))),
            "init": In(1),
            "lines": In(config["lines"].shape),
            "line_words": In(config["line_words"].shape),
            "pictures": In(config["pictures"].shape),
            "keep_from": In(config["lines"].shape),
            "picture_over": In(1),
            "present": Out(self._lines),
            "rolled": Out(1),
            "last_picture": Out(1),
            "addresses": In(data.ArrayLayout(range(params.buffer_bytes), params.pixel_lanes)),
            "read_en": In(1),
            "vector": Out(bytes_of(params.pixel_lanes * params.vector_bytes)),
        })

    def elaborate(self, platform):
        m = Module()
        write, address = self._elaborate_account(m)
        m.d.comb += self.vector.as_value().eq(Cat(
            self._elaborate_banks(m, write, address, lane)
            for lane in range(self.params.pixel_lanes)))
        return m

    def _elaborate_account(self, m):
        address = Signal(range(self.params.words))
        used = Signal(range(self.params.words + 1))
        column = Signal(range(self.params.words))    # words of the line after the one that comes
        freed = Signal.like(self.lines)              # lines of the image whose room is free
        left = Signal.like(self.pictures)            # images after this one
        limit = Signal(self._lines)                  # lines that may come before the next roll
        write, line_end, freeing = Signal(), Signal(), Signal()
        m.d.comb += [
            limit.eq(Mux(self.last_picture, self.lines, self.lines << 1)),
            write.eq(self.i.valid & self.i.ready),
            line_end.eq(write & (column == 0)),
        ]
        # Decisions take effect a cycle later, so that one may have to take the last into account.
        full = used[-1] | (used[:-1].all() & write)
        m.d.sync += [
            self.i.ready.eq(~full & (self.present != limit) & ~line_end & ~self.init),
            freeing.eq((freed != self.keep_from) & (freed < self.present) & ~freeing),
            self.rolled.eq(self.picture_over & (freed == self.lines) & ~self.rolled),
            address.eq(address + write),
            used.eq(used + write - Mux(freeing, self.line_words, 0)),
            freed.eq(freed + freeing),
            self.present.eq(self.present + line_end - Mux(self.rolled, self.lines, 0)),
        ]
        with m.If(write | self.init):
            m.d.sync += column.eq(Mux(line_end | self.init, self.line_words, column) - 1)
        with m.If(self.rolled):
            m.d.sync += [freed.eq(0), left.eq(left - 1), self.last_picture.eq(left == 1)]
        with m.If(self.init):
            m.d.sync += [address.eq(0), used.eq(0), freed.eq(0), self.present.eq(0),
                         freeing.eq(0), self.rolled.eq(0), left.eq(self.pictures),
                         self.last_picture.eq(self.pictures == 0)]
        return write, address

    def _elaborate_banks(self, m, write, write_address, lane):
        """The banks of a pixel lane. Returns the vector read from them."""
        count, address = self.params.word_bytes, self.addresses[lane]
        bits = ceil_log2(count)
        word, offset = address[bits:], address[:bits]
        after = Signal.like(write_address)
        m.d.comb += after.eq(word + 1)
        banks = []
        for index in range(count):
            bank = BlockRam(width=8, depth=self.params.words,
                            output_register=self.params.output_register)
            m.submodules[f"bank_{lane}_{index}"] = bank
            m.d.comb += [
                bank.write_en.eq(write),
                bank.write_addr.eq(write_address),
                bank.write_data.eq(self.i.payload[index]),
                bank.read_en.eq(self.read_en),
                bank.read_addr.eq(Mux(index < offset, after, word)),
            ]
            banks.append(bank.read_data)

        turn = pipeline(m, self.read_en, offset, f"turn_{lane}", self.latency)
        rotated = Cat(*banks)
        for bit in range(bits):
            turned = Signal(8 * count, name=f"turned_{lane}_{1 << bit}")
            m.d.comb += turned.eq(Mux(turn[bit], rotated.rotate_right(8 << bit), rotated))
            rotated = turned
        return rotated[:8 * self.params.vector_bytes]
