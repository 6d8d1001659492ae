import enum
from math import ceil

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from rtl.memory.port import memory_port
from rtl.memory.sdram.chip import SdramChip
from rtl.validate import integer, number, of_type

__all__ = ["Sdram", "burst_of", "sdram_pins"]

#: Refreshes between power-up and the first word.
FIRST_REFRESHES = 8
#: The mode register's code of a burst of 1, 2, 4, 8 words; and the place of the CAS latency.
BURSTS, CAS_PLACE = {1: 0, 2: 1, 4: 2, 8: 3}, 4
#: Address bit by which a precharge is one of all banks.
ALL_BANKS = 1 << 10


class Command(enum.Enum):
    """Levels of (``ras``, ``cas``, ``we``), 1 for asserted."""

    NOP = 0b000
    ACTIVATE = 0b001
    READ = 0b010
    WRITE = 0b110
    PRECHARGE = 0b101
    REFRESH = 0b011
    MODE = 0b111


class State(enum.Enum):
    """What has been done since power-up."""

    START = 0    #: Nothing.
    FRESHEN = 1  #: All banks are closed.
    MODE = 2     #: Refreshes.
    RUN = 3      #: All.


def sdram_pins(chip):
    """Signature of a chip's pins but for its clock, as the controller sees them.

    Commands are active high here, though the pins are active low. ``CKE`` and ``CS`` are always
    asserted. Between these signals and the chip there is one register in each direction, in the
    pad.
    """
    return wiring.Signature({
        "ras": Out(1), "cas": Out(1), "we": Out(1),
        "ba": Out(chip.bank_bits), "a": Out(chip.row_bits), "dqm": Out(1, init=1),
        "dq_o": Out(chip.data_bits), "dq_oe": Out(1), "dq_i": In(chip.data_bits),
    })


def burst_of(width, data_bits):
    """Cycles in which a word of ``width`` bits comes: a power of two."""
    return 1 << ceil_log2(-(-width // data_bits))


class Sdram(wiring.Component):
    """Words in SDRAM, behind a port for reading and one for writing.

    A word is a burst. Reads of consecutive words follow each other without a gap as long as they
    lie in one row; the next row costs a precharge and an activation, and so does a refresh, some
    100 ns each. Requests are served in the order in which the ports took them. A reset initialises
    the chip again, which keeps its contents but takes 200 us, for which requests wait.

    Parameters
    ----------
    chip : :class:`SdramChip`
    width : :class:`int`
        Bits of a word: at most 8 times those of the chip.
    depth : :class:`int`
        Words.
    mhz : number
        Frequency of ``sync`` and of the chip's clock.

    Attributes
    ----------
    burst : :class:`int`
        Cycles of a word.
    latency : :class:`int`
        Cycles from a request to its word, if the row is open.

    Members
    -------
    read : ``In(memory_port(...))``
        ``ready`` depends combinationally on ``write.requests.valid``.
    write : ``In(memory_port(..., parts=1))``
        A request is accepted when it has been carried out; its mask is taken to be 1.
    drop : ``In(1)``
        Discard the words of all reads under way, including a word that comes in this cycle.
    pins : ``Out(sdram_pins(chip))``
    """

    def __init__(self, *, chip, width, depth, mhz):
        self.chip = of_type("chip", chip, SdramChip, "an SdramChip")
        self.width = integer("width", width, 1, 8 * chip.data_bits)
        self.burst = burst_of(self.width, chip.data_bits)
        words = 8 * chip.bytes // chip.data_bits // self.burst
        self.depth = integer("depth", depth, 2, words)
        self.mhz = number("mhz", mhz, 10, 1000)
        if mhz > 1000 / chip.period:
            raise ValueError(f"mhz must be between 10 and {1000 / chip.period:.0f} for this chip, "
                             f"not {mhz}")
        # Three cycles to the pins, one in the pads; back it is one for each beat of the burst, and
        # two more.
        self.latency = chip.cas + self.burst + 5
        self.address_bits = ceil_log2(self.depth)
        super().__init__({
            "read": In(memory_port(self.address_bits, self.width)),
            "write": In(memory_port(self.address_bits, self.width, 1)),
            "drop": In(1),
            "pins": Out(sdram_pins(chip)),
        })

    def cycles(self, ns, least=1):
        """Cycles that last ``ns`` or longer."""
        return max(least, ceil(round(ns * self.mhz / 1000, 6)))

    def elaborate(self, platform):
        m = Module()
        chip, burst, pins = self.chip, self.burst, self.pins
        rp, rfc = self.cycles(chip.rp), self.cycles(chip.rfc)
        rcd = self.cycles(chip.rcd)
        # One bank is open at a time.
        open_for = max(self.cycles(chip.ras), self.cycles(chip.rc) - rp)
        written = burst - 1 + self.cycles(chip.wr, 2)

        state, wait = Signal(State), Signal(range(max(rfc, rcd, written, burst)))
        tick, due, pause = self._elaborate_timers(m)
        first, hit, page = self._queue(m)
        opened, young = Signal(), Signal(range(open_for))
        command, issue = Signal(Command), Signal()
        under_way = Signal(chip.cas + burst + 3)  # bursts that have not come back

        def do(what, cycles, **settings):
            m.d.comb += command.eq(what)
            m.d.sync += [wait.eq(cycles - 1), *(
                getattr(pins, name).eq(value) for name, value in settings.items())]

        def close():
            do(Command.PRECHARGE, rp, a=ALL_BANKS)
            m.d.sync += [opened.eq(0), hit.eq(0)]

        with m.If(young != 0):
            m.d.sync += young.eq(young - 1)
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else(), m.Switch(state):
            self._elaborate_start(m, state, pause, do, close)
            with m.Case(State.RUN):
                with m.If(due & ~opened):
                    do(Command.REFRESH, rfc)
                    m.d.sync += due.eq(0)
                with m.Elif(due | (first.valid & opened & ~hit)):
                    with m.If(young == 0):
                        close()
                with m.Elif(first.valid & ~opened):
                    do(Command.ACTIVATE, rcd, ba=first.page[:chip.bank_bits],
                       a=first.page[chip.bank_bits:])
                    m.d.sync += [opened.eq(1), hit.eq(1), page.eq(first.page),
                                 young.eq(open_for - 1)]
                with m.Elif(first.valid & ~first.write):
                    do(Command.READ, burst, a=first.column << exact_log2(burst))
                    m.d.comb += issue.eq(1)
                with m.Elif(first.valid & ~under_way.any()):
                    do(Command.WRITE, written, a=first.column << exact_log2(burst))
                    m.d.comb += [issue.eq(1), self.write.requests.ready.eq(1)]
        with m.If(tick):
            m.d.sync += due.eq(1)
        m.d.sync += Cat(pins.ras, pins.cas, pins.we).eq(command)
        m.d.comb += self._taken.eq(issue)
        self._move_data(m, issue & first.write, issue & ~first.write, under_way)
        return m

    def _elaborate_timers(self, m):
        """Returns a strobe for each refresh, whether one is due, and how many strobes are left of
        the pause after power-up."""
        interval = int(self.chip.refresh * self.mhz / 1000)
        timer, tick, due = Signal(range(interval), init=interval - 1), Signal(), Signal()
        m.d.comb += tick.eq(timer == 0)
        m.d.sync += timer.eq(Mux(tick, interval - 1, timer - 1))
        pauses = self.cycles(self.chip.start) // interval + 1
        pause = Signal(range(pauses + 1), init=pauses)
        with m.If(tick & (pause != 0)):
            m.d.sync += pause.eq(pause - 1)
        return tick, due, pause

    def _elaborate_start(self, m, state, pause, do, close):
        """States up to the first word: the pause, refreshes, the mode register."""
        chip = self.chip
        left = Signal(range(FIRST_REFRESHES), init=FIRST_REFRESHES - 1)
        with m.Case(State.START):
            with m.If(pause == 0):
                close()
                m.d.sync += state.eq(State.FRESHEN)
        with m.Case(State.FRESHEN):
            do(Command.REFRESH, self.cycles(chip.rfc))
            m.d.sync += left.eq(left - 1)
            with m.If(left == 0):
                m.d.sync += state.eq(State.MODE)
        with m.Case(State.MODE):
            do(Command.MODE, self.cycles(chip.mrd, 2), ba=0,
               a=BURSTS[self.burst] | chip.cas << CAS_PLACE)
            m.d.sync += [state.eq(State.RUN), self.pins.dqm.eq(0)]

    def _queue(self, m):
        """A queue of two requests, the second so that ``ready`` is a register. Returns the first,
        whether its row is open, and the page that is open."""
        chip = self.chip
        read, write = self.read.requests, self.write.requests
        inside = chip.column_bits - exact_log2(self.burst)
        entry = data.StructLayout({"column": inside, "page": chip.bank_bits + chip.row_bits,
                                   "write": 1, "valid": 1})
        first, second, asked = Signal(entry), Signal(entry), Signal()
        page, hit = Signal(chip.bank_bits + chip.row_bits), Signal()
        self._taken = taken = Signal()
        new = write.valid & ~asked
        m.d.comb += read.ready.eq(~second.valid & ~new)
        with m.If(taken):
            m.d.sync += first.valid.eq(0)
        with m.If(second.valid & (taken | ~first.valid)):
            # Only a request that waits changes which page is open.
            m.d.sync += [first.eq(second), second.valid.eq(0), hit.eq(second.page == page)]
        with m.If(~second.valid):
            address = Mux(new, write.payload.address, read.payload.address)
            m.d.sync += [
                second.column.eq(address), second.page.eq(address >> inside),
                second.write.eq(new), second.valid.eq(new | read.valid),
            ]
            with m.If(new):
                m.d.sync += asked.eq(1)
        with m.If(taken & first.write):
            m.d.sync += asked.eq(0)
        with m.If(self.drop):
            m.d.sync += [first.valid.eq(0), second.valid.eq(0), asked.eq(0)]
        return first, hit, page

    def _move_data(self, m, writes, reads, under_way):
        """Words to and from the data pins."""
        bits, pins = self.chip.data_bits, self.pins
        out, sending = Signal(bits * self.burst), Signal(self.burst)
        m.d.sync += [out.eq(out >> bits), sending.eq(sending >> 1)]
        with m.If(writes):
            m.d.sync += [out.eq(self.write.requests.payload.data), sending.eq(-1)]
        m.d.comb += [pins.dq_o.eq(out), pins.dq_oe.eq(sending[0])]

        word, wanted = Signal(bits * self.burst, reset_less=True), Signal.like(under_way)
        m.d.sync += [
            word.eq(Cat(word, pins.dq_i)[bits:]),
            under_way.eq(Cat(reads, under_way)),
            wanted.eq(Mux(self.drop, 0, Cat(reads, wanted))),
        ]
        m.d.comb += [self.read.words.valid.eq(wanted[-1] & ~self.drop),
                     self.read.words.payload.eq(word)]
