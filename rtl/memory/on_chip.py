"""Memories of the FPGA itself, behind ports."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2, exact_log2

from rtl.family import family_of, has_spram
from rtl.memory.block_ram import BlockRam
from rtl.memory.port import memory_port
from rtl.validate import boolean, divisor, integer, power_of_two

__all__ = ["DualPortMemory", "SinglePortMemory"]


class DualPortMemory(wiring.Component):
    """Block RAM with a port for reading and one for writing, both always ready.

    Throughput is a read and a write a cycle. A word that is read in the cycle that writes it is
    unspecified.

    Parameters
    ----------
    width, depth : :class:`int`
        Bits of a word; words.
    parts : :class:`int`
        Parts of a word that can be written on their own; a divisor of ``width``.
    output_register : :class:`bool`
        As of :class:`BlockRam`.
    input_register : :class:`bool`
        Whether requests pass a register: for memories of many blocks, which lie all over a device.

    Members
    -------
    read, write : ``In(memory_port(...))``
        Words come on ``read`` after ``latency`` cycles.
    """

    def __init__(self, *, width, depth, parts=1, output_register=False, input_register=False):
        self.width = integer("width", width, 1, 4096)
        self.depth = integer("depth", depth, 1, 1 << 20)
        self.parts = divisor("parts", parts, self.width, "bits of a word")
        self.output_register = boolean("output_register", output_register)
        self.input_register = boolean("input_register", input_register)
        self.latency = 1 + output_register + input_register
        self.address_bits = ceil_log2(self.depth)
        super().__init__({
            "read": In(memory_port(self.address_bits, self.width)),
            "write": In(memory_port(self.address_bits, self.width, self.parts)),
        })

    def elaborate(self, platform):
        m = Module()
        read, write = self.read.requests, self.write.requests
        part = self.width // self.parts
        m.d.comb += [read.ready.eq(1), write.ready.eq(1)]
        valid = read.valid
        if self.input_register:
            read, write = (_registered(m, each) for each in (read, write))
        words = []
        for index in range(self.parts):
            m.submodules[f"bank_{index}"] = bank = BlockRam(
                width=part, depth=self.depth, output_register=self.output_register)
            m.d.comb += [
                bank.write_en.eq(write.valid & write.payload.mask[index]),
                bank.write_addr.eq(write.payload.address),
                bank.write_data.eq(write.payload.data.word_select(index, part)),
                bank.read_en.eq(1),
                bank.read_addr.eq(read.payload.address),
            ]
            words.append(bank.read_data)
        for _ in range(self.latency):
            late = Signal(name="reads")
            m.d.sync += late.eq(valid)
            valid = late
        m.d.comb += [self.read.words.valid.eq(valid), self.read.words.payload.eq(Cat(words))]
        return m


class SinglePortMemory(wiring.Component):
    """Memory of 32-bit words, whose bytes can be written on their own, with one port that is always
    ready: an access a cycle.

    On iCE40 UltraPlus it is made of pairs of ``SB_SPRAM256KA``, 16 384 words of 16 bits each, on
    other iCE40 of block RAM. Its contents at power-up are undefined.

    Parameters
    ----------
    depth : :class:`int`
        Words; a power of two, so that every address is that of a word.

    Members
    -------
    port : ``In(memory_port(...))``
        Words come after a cycle. The mask only tells whether a request reads, by being 0.
    parts : ``In(4)``
        The mask of a request that writes. Unlike that of the port it need not wait for arbitration.
    """

    latency = 1

    def __init__(self, *, depth):
        self.depth = power_of_two("depth", depth, 2, 1 << 20)
        self.address_bits = exact_log2(self.depth)
        super().__init__({"port": In(memory_port(self.address_bits, 32, 4)), "parts": In(4)})

    def elaborate(self, platform):
        m = Module()
        request, words = self.port.requests, self.port.words
        writes = request.payload.mask.any()
        m.d.comb += request.ready.eq(1)
        m.d.sync += words.valid.eq(request.valid & ~writes)
        build = self._generic
        if family_of(platform) == "ice40":
            build = self._spram if has_spram(platform) else self._blocks
        m.d.comb += words.payload.eq(build(m, request.payload, request.valid, writes))
        return m

    def _generic(self, m, request, valid, writes):
        m.submodules.words = words = memory.Memory(shape=32, depth=self.depth, init=[])
        write, read = words.write_port(granularity=8), words.read_port()
        lost = Signal()  # the word read is undefined after a write
        with m.If(valid):
            m.d.sync += lost.eq(writes)
        m.d.comb += [
            write.en.eq(self.parts & (valid & writes).replicate(4)), write.addr.eq(request.address),
            write.data.eq(request.data), read.en.eq(valid & ~writes),
            read.addr.eq(request.address),
        ]
        return Mux(lost, 0xa5a5a5a5, read.data)

    def _blocks(self, m, request, valid, writes):
        words = []
        for index in range(4):
            m.submodules[f"bank_{index}"] = bank = BlockRam(width=8, depth=self.depth)
            m.d.comb += [
                bank.write_en.eq(valid & writes & self.parts[index]),
                bank.write_addr.eq(request.address),
                bank.write_data.eq(request.data.word_select(index, 8)),
                bank.read_en.eq(valid & ~writes),
                bank.read_addr.eq(request.address),
            ]
            words.append(bank.read_data)
        return Cat(words)

    def _spram(self, m, request, valid, writes):
        # Ref: FPGA-TN-02022, iCE40 SPRAM Usage Guide: a mask bit for each four bits
        rows = -(-self.depth // (1 << 14))
        row, asked = Signal(range(rows)), request.address[14:]
        with m.If(valid):
            m.d.sync += row.eq(asked)
        blocks = []
        for index in range(rows):
            word = Signal(32, name=f"word_{index}")
            for half in range(2):
                mask = Cat(bit.replicate(2) for bit in self.parts[2 * half:2 * half + 2])
                address = Signal(14, name=f"address_{index}_{half}")
                m.d.comb += address.eq(request.address)
                m.submodules[f"block_{index}_{half}"] = Instance(
                    "SB_SPRAM256KA", i_CLOCK=ClockSignal(), i_ADDRESS=address,
                    i_DATAIN=request.data[16 * half:16 * half + 16], i_MASKWREN=mask,
                    i_WREN=writes, i_CHIPSELECT=valid & (asked == index if rows > 1 else 1),
                    i_STANDBY=0, i_SLEEP=0, i_POWEROFF=1,
                    o_DATAOUT=word[16 * half:16 * half + 16])
            blocks.append(word)
        return Array(blocks)[row] if rows > 1 else blocks[0]


def _registered(m, requests):
    """A stream that is always ready, behind a register."""
    late = requests.signature.flip().create()
    m.d.sync += [late.valid.eq(requests.valid), late.payload.eq(requests.payload)]
    return late
