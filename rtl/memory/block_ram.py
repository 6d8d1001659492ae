"""Simple dual-port memory in block RAM."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.check import integer
from rtl.family import family_of

__all__ = ["BlockRam"]


class BlockRam(wiring.Component):
    """A memory with one write port and one read port on one clock; it wakes up as zeros.

    A word whose address is on ``read_addr`` in a cycle with ``read_en`` high is on ``read_data``
    in the next cycle, and stays there until the next cycle with ``read_en`` high. With
    ``output_register``, a second register follows, which ``read_en`` enables too: both stages
    move together in cycles with ``read_en`` high and hold in all others, so ``n`` enabled cycles
    after its address, a word has moved by ``n`` stages.

    A word read in the cycle that writes it is **unspecified**; so no family spends logic on
    bypassing it. The generic twin delivers the old word's complement in that case, so that a
    design which relies on either word fails in simulation.

    Parameters
    ----------
    width : :class:`int`
        Bits in a word.
    depth : :class:`int`
        Words. An address at or beyond it must not be used.
    output_register : :class:`bool`
        Whether the read data pass a second register.

    Attributes
    ----------
    latency : :class:`int`
        Enabled cycles from ``read_addr`` to ``read_data``: 1, or 2 with ``output_register``.

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
        self.depth = integer("depth", depth, 2, 1 << 20)
        if not isinstance(output_register, bool):
            raise TypeError(f"output_register must be a boolean, not {output_register!r}")
        self.output_register = output_register
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
        family_of(platform)
        m.submodules.words = words = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(self.write_en),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.en.eq(self.read_en),
            read.addr.eq(self.read_addr),
        ]

        collided = Signal()
        word = Signal(self.width)
        m.d.comb += word.eq(read.data ^ collided.replicate(self.width))
        with m.If(self.read_en):
            m.d.sync += collided.eq(self.write_en & (self.write_addr == self.read_addr))

        if self.output_register:
            late = Signal(self.width, reset_less=True)
            with m.If(self.read_en):
                m.d.sync += late.eq(word)
            word = late
        m.d.comb += self.read_data.eq(word)
        return m
