from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.check import one_of
from rtl.layouts import MULTIPLIER_WIDTH, ChannelParams, OutputRange
from rtl.postprocess.rounding import Rounding
from rtl.stages import later

__all__ = ["SerialLane"]


def _add(a, b, carry):
    """``a + b + carry`` in one carry chain, which the carry enters by a bit below the others.

    Slicing the sum also keeps synthesis from merging chains into trees of full adders, which are
    twice as large.
    """
    total = Cat(Const(1, 1), a).as_signed() + Cat(carry, b).as_signed()
    return total[1:].as_signed()


class SerialLane(wiring.Component):
    """One requantisation, rounded as TensorFlow Lite Micro does, in ``cycles`` steps without a DSP.

    Each step forms the product with ``digit_bits`` bits of the multiplier, the lowest first; the
    next cycle adds it to the sum and drops as many bits of that. Since nested floors are one floor,
    the result is exact. Two bits at a time are taken as -1, 0, 1 or 2 and a carry: one LUT a bit
    selects ``-x``, ``0``, ``x`` or ``2x``. They are recoded a step ahead.

    Parameters
    ----------
    cycles : :class:`int`
        2, 3, 4 or 6.
    varies : :class:`bool`
        As of :class:`Rounding`.

    Members
    -------
    enable : ``In(1)``
        Advances all registers.
    load : ``In(1)``
        Takes ``acc``; the first step comes in the next enabled cycle.
    acc, params, range : ``In``
        ``params`` hold until the last step; ``range`` is as of :class:`Rounding`.
    idle, step : ``In(1)``, ``In(range(cycles))``
        Whether this cycle does a step, and which; 0 follows the last one.
    o : ``Out(signed(8))``
        The result, ``latency`` enabled cycles after the last step.
    """

    latency = 2 + Rounding.latency

    def __init__(self, *, cycles, varies=False):
        self.varies = varies
        self.cycles = one_of("cycles", cycles, (2, 3, 4, 6))
        self.digit_bits = 2 * -(-MULTIPLIER_WIDTH // (2 * self.cycles))
        super().__init__({
            "enable": In(1),
            "load": In(1),
            "acc": In(signed(32)),
            "params": In(ChannelParams),
            "range": In(OutputRange),
            "idle": In(1),
            "step": In(range(self.cycles)),
            "o": Out(signed(8)),
        })

    def elaborate(self, platform):
        m = Module()
        x = Signal(signed(32), reset_less=True)
        with m.If(self.enable & self.load):
            m.d.sync += x.eq(self.acc + self.params.bias)

        groups = self._products(m, x, self._recode(m))
        first = later(m, self.enable, self.step == 0, "first")
        down = later(m, self.enable, (self.params.shift != 0) & x[-1], "down")
        rest = self._accumulate(m, groups, first, down)
        m.submodules.rounding = rounding = Rounding(varies=self.varies)
        m.d.comb += [
            rounding.enable.eq(self.enable),
            rounding.scaled.eq(rest >> (31 - self.digit_bits * (self.cycles - 1))),
            rounding.shift.eq(later(m, self.enable, self.params.shift, "shift", 2)),
            rounding.range.eq(self.range),
            self.o.eq(rounding.o),
        ]
        return m

    def _recode(self, m):
        """Digits of the step of this cycle: 0 to 2 stand for themselves, 3 for -1."""
        bits, steps = self.digit_bits, self.cycles
        words = Cat(self.params.multiplier, Const(0, bits * steps - MULTIPLIER_WIDTH))
        after = Signal(range(steps))
        chunk = Signal(bits)
        carry = Signal(reset_less=True)
        m.d.comb += [
            after.eq(Mux(self.idle | (self.step == steps - 1), 0, self.step + 1)),
            chunk.eq(words.word_select(after, bits)),
        ]
        digits, borrow = [], carry & (after != 0)
        for position in range(0, bits, 2):
            low, high = chunk[position:position + 2]
            value = Cat(low ^ borrow, high ^ (low & borrow))
            digits.append(later(m, self.enable, value, f"digit_{position}"))
            borrow = high & (low | borrow)  # 3 is -1 and a carry, 4 is 0 and a carry
        with m.If(self.enable):
            m.d.sync += carry.eq(borrow)
        return digits

    def _products(self, m, x, digits):
        """Products of ``x`` with up to three digits each, registered: the bit they begin at, the
        product, and 1 if that is to be added to it."""
        groups = []
        for start in range(0, len(digits), 3):
            total, low = None, []
            for index, digit in enumerate(digits[start:start + 3], start):
                part = Signal(signed(33), name=f"part_{index}")
                with m.Switch(digit):
                    with m.Case(1):
                        m.d.comb += part.eq(x)
                    with m.Case(2):
                        m.d.comb += part.eq(x << 1)
                    with m.Case(3):
                        m.d.comb += part.eq(~x)
                if total is not None:
                    part = _add(total, part, digit == 3)
                total = Signal(part.shape(), name=f"sum_{index}")
                m.d.comb += total.eq(part)
                low.append(total[:2])
                total = total >> 2
            one = later(m, self.enable, digits[start] == 3, f"one_{start}")
            product = later(m, self.enable, Cat(*low, total), f"product_{start}").as_signed()
            groups.append((2 * start, product, one))
        return groups

    def _accumulate(self, m, groups, first, down):
        """The sum, of which each step drops ``digit_bits`` bits but the last."""
        bits = self.digit_bits
        rest = Signal(signed(32 + bits), reset_less=True)
        constant = Cat(Const(0, 30), Const(1, 1), down, down).as_signed()  # +- 2^30
        total, low = Signal(signed(33), name="start"), []
        m.d.comb += total.eq(Mux(first, constant, rest >> bits))
        for number, (start, product, one) in enumerate(groups):
            end = groups[number + 1][0] if number + 1 < len(groups) else bits
            named = Signal(signed(34 + end - start), name=f"total_{start}")
            m.d.comb += named.eq(_add(total, product, one))
            low.append(named[:end - start])
            total = named >> end - start
        with m.If(self.enable):
            m.d.sync += rest.eq(Cat(*low, total))
        return rest
