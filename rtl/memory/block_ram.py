"""Simple dual-port memory in block RAM."""

from functools import partial

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from rtl.family import family_of
from rtl.validate import boolean, integer

__all__ = ["BlockRam"]


#: Widths and depths that a block can take; the deepest first, so that they win ties.
ECP5_SHAPES = (1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)
ICE40_SHAPES = (2, 2048), (4, 1024), (8, 512), (16, 256)


def ecp5_block(m, name, width, *, write_en, write_addr, write_data, read_en, read_addr,
               output_register):
    """The word read from a ``DP16KD`` of that width, which writes at port A and reads at port B.

    Words of 36 bits take the data pins of both ports, those of A for the low half.
    """
    # Ref: FPGA-TN-02204, ECP5 and ECP5-5G Memory Usage Guide: RAM_DP, and Appendix A (attributes)
    data, word = Signal(36, name=f"{name}_data"), Signal(36, name=f"{name}_word")
    m.d.comb += data.eq(write_data)
    # Addresses count bits; in the places below a word of 18 or 36 bits, port A has byte enables.
    shift = width.bit_length() - 1
    bytes_enabled = (1 << width // 9) - 1 if width > 9 else 0
    address_a, address_b = Signal(14, name=f"{name}_write"), Signal(14, name=f"{name}_read")
    m.d.comb += [
        address_a.eq(write_addr << shift | bytes_enabled),
        address_b.eq(read_addr << shift),
    ]
    pins = {"ADA": address_a, "ADB": address_b, "DIA": data[:18], "DIB": data[18:],
            "CSA": Const(0, 3), "CSB": Const(0, 3)}
    regmode = "OUTREG" if output_register else "NOREG"
    m.submodules[name] = Instance(
        "DP16KD",
        *(("i", f"{pin}{bit}", value) for pin, bits in pins.items()
          for bit, value in enumerate(bits)),
        *(("o", f"DOA{bit}", word[bit]) for bit in range(18)),
        *(("o", f"DOB{bit}", word[18 + bit]) for bit in range(18)),
        p_DATA_WIDTH_A=width, p_DATA_WIDTH_B=width, p_REGMODE_A=regmode, p_REGMODE_B=regmode,
        p_GSR="DISABLED",
        i_CLKA=ClockSignal(), i_CEA=write_en, i_WEA=1, i_OCEA=read_en, i_RSTA=0,
        i_CLKB=ClockSignal(), i_CEB=read_en, i_WEB=0, i_OCEB=read_en, i_RSTB=0)
    return word if width == 36 else word[18:18 + width]


def ice40_block(m, name, width, *, write_en, write_addr, write_data, read_en, read_addr):
    """The word read from an ``SB_RAM40_4K`` of that width."""
    # Ref: FPGA-TN-02002, Memory Usage Guide for iCE40 Devices: words below 16 bits skip data pins
    mode = exact_log2(16 // width)
    used = slice((1 << mode) // 2 - (mode > 0), 16, 1 << mode)
    data, word = Signal(16, name=f"{name}_data"), Signal(16, name=f"{name}_word")
    address_w, address_r = Signal(11, name=f"{name}_write"), Signal(11, name=f"{name}_read")
    m.d.comb += [
        Cat(list(data)[used]).eq(write_data),
        address_w.eq(write_addr),
        address_r.eq(read_addr),
    ]
    m.submodules[name] = Instance(
        "SB_RAM40_4K", p_WRITE_MODE=mode, p_READ_MODE=mode, i_MASK=Const(0, 16),
        i_WCLK=ClockSignal(), i_WCLKE=1, i_WE=write_en, i_WADDR=address_w, i_WDATA=data,
        i_RCLK=ClockSignal(), i_RCLKE=1, i_RE=read_en, i_RADDR=address_r, o_RDATA=word)
    return Cat(list(word)[used])


class BlockRam(wiring.Component):
    """A memory with one write port and one read port on one clock; it is all zeros at first.

    A word whose address is on ``read_addr`` in a cycle with ``read_en`` high is on ``read_data``
    in the next cycle, and stays there until the next cycle with ``read_en`` high. With
    ``output_register``, a second register follows, which ``read_en`` enables too: both stages
    advance in cycles with ``read_en`` high and hold in all others. So a word arrives after
    ``latency`` cycles with ``read_en`` high, counting the one with its address.

    A word read in the very cycle that writes it is **unspecified**, so that no family spends logic
    on a bypass. The generic model delivers the complement of the old word then: a design that
    relies on the old word or the new one fails in simulation.

    On a family with block RAM the memory is tiled with as few blocks as possible, in as few rows as
    that allows. Several rows cost a multiplexer behind the blocks.

    Parameters
    ----------
    width : :class:`int`
        Bits in a word.
    depth : :class:`int`
        Words. Addresses from ``depth`` on must not be used.
    output_register : :class:`bool`
        Whether read data pass a second register, on ECP5 that of the block.

    Attributes
    ----------
    latency : :class:`int`
        Cycles with ``read_en`` from ``read_addr`` to ``read_data``: 1, or 2 with
        ``output_register``.

    Members
    -------
    write_en : ``In(1)``
        Writes ``write_data`` at ``write_addr``.
    write_addr : ``In(range(depth))``
    write_data : ``In(width)``
    read_en : ``In(1)``
        Advances the read data.
    read_addr : ``In(range(depth))``
    read_data : ``Out(width)``

    Raises
    ------
    :exc:`TypeError`
        If ``width`` or ``depth`` is not an integer, or ``output_register`` not a boolean.
    :exc:`ValueError`
        If ``width`` or ``depth`` is out of range.
    """

    def __init__(self, *, width, depth, output_register=False):
        self.width = integer("width", width, 1, 4096)
        self.depth = integer("depth", depth, 1, 1 << 20)
        self.output_register = boolean("output_register", output_register)
        self.latency = 1 + output_register
        super().__init__({
            "write_en": In(1),
            "write_addr": In(range(self.depth)),
            "write_data": In(self.width),
            "read_en": In(1),
            "read_addr": In(range(self.depth)),
            "read_data": Out(self.width),
        })

    def elaborate(self, platform):
        m = Module()
        match family_of(platform):
            case "generic":
                word, latency = self._words(m), 1
            case "ecp5":
                block = partial(ecp5_block, output_register=self.output_register)
                word, latency = self._tiles(m, ECP5_SHAPES, block, self.latency), self.latency
            case "ice40":
                word, latency = self._tiles(m, ICE40_SHAPES, ice40_block, 1), 1

        if latency < self.latency:
            late = Signal(self.width, reset_less=True)
            with m.If(self.read_en):
                m.d.sync += late.eq(word)
            word = late
        m.d.comb += self.read_data.eq(word)
        return m

    def _words(self, m):
        m.submodules.words = words = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, read = words.write_port(), words.read_port()
        collided = Signal()
        with m.If(self.read_en):
            m.d.sync += collided.eq(self.write_en & (self.write_addr == self.read_addr))
        m.d.comb += [
            write.en.eq(self.write_en),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.en.eq(self.read_en),
            read.addr.eq(self.read_addr),
        ]
        return read.data ^ collided.replicate(self.width)

    def _tiles(self, m, shapes, block, latency):
        """The word read from as few blocks as possible, ``latency`` enabled cycles after its
        address. ``block`` builds one of them."""
        rows = list(enumerate(_rows_of(self.width, self.depth, shapes)))
        return self._rows(m, rows, block, latency, self.write_en, self.write_addr, self.read_addr)

    def _rows(self, m, rows, block, latency, write_en, write_addr, read_addr):
        """The word read from ``rows``: pairs of a row's number and its blocks' width and depth."""
        _, (width, depth) = rows[0]
        alike = [row for row, shape in rows if shape == (width, depth)]
        inside = exact_log2(depth)
        write_row, read_row = write_addr[inside:], read_addr[inside:]
        words = [Cat(
            block(m, f"block_{row}_{column}", width,
                  write_en=write_en & (write_row == index),
                  write_addr=write_addr[:inside],
                  write_data=self.write_data.word_select(column, width),
                  read_en=self.read_en, read_addr=read_addr[:inside])
            for column in range(-(-self.width // width))) for index, row in enumerate(alike)]
        if rows[len(alike):]:
            words.append(self._rows(
                m, rows[len(alike):], block, latency, write_en & (write_row == len(alike)),
                write_addr[:inside], read_addr[:inside]))

        for stage in range(latency):
            late = Signal.like(read_row, name=f"row_{stage}", reset_less=True)
            with m.If(self.read_en):
                m.d.sync += late.eq(read_row)
            read_row = late
        return Array(words)[read_row]


def _rows_of(width, depth, shapes):
    """The shape of each row of blocks for ``depth`` words of ``width``, the deepest first: of the
    plans with the fewest blocks the one with the fewest rows, as these take multiplexers."""
    plans = []
    for index, shape in enumerate(shapes):
        whole, left = divmod(depth, shape[1])
        plans.append([shape] * (whole + (left > 0)))
        if whole and left and shapes[index + 1:]:
            plans.append([shape] * whole + _rows_of(width, left, shapes[index + 1:]))
    return min(plans, key=lambda rows: (sum(-(-width // each) for each, _ in rows), len(rows)))
