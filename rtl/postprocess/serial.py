from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import MULTIPLIER_WIDTH, ChannelParams, OutputRange
from rtl.postprocess.rounding import Rounding
from rtl.stream.pipeline import pipeline
from rtl.validate import boolean, integer, one_of

__all__ = ["SerialLane", "short_acc_range"]


def _add(a, b, carry):
    """``a + b + carry`` in one carry chain, which the carry enters through a bit below the others.

    Slicing the sum also keeps synthesis from merging chains into trees of full adders, which are
    twice as large.
    """
    total = Cat(Const(1, 1), a).as_signed() + Cat(carry, b).as_signed()
    return total[1:].as_signed()


def _digit_bits(cycles, bits):
    """Bits of a step. All steps together take one bit more than ``bits``, as a digit is at most 1.
    """
    return 2 * -(-(bits + 1) // (2 * cycles))


def short_acc_range(cycles, bits):
    """The least and the largest ``acc + bias`` of ``bits`` that need a step less than ``cycles``,
    or None if there are none."""
    if cycles < 3:
        return None
    ones = ((1 << _digit_bits(cycles, bits) * (cycles - 1)) - 1) // 3
    return -2 * ones, ones


class SerialLane(wiring.Component):
    """A requantisation, rounded as TensorFlow Lite Micro does, in ``cycles`` steps without a DSP.

    Each step multiplies the multiplier by ``digit_bits`` bits of ``acc + bias``, the lowest first;
    two cycles later the product is added to the sum, of which as many bits are dropped. Since
    nested floors are one floor, the result is exact. Two bits at a time are recoded as -2, -1, 0 or
    1 and a carry: one LUT for each bit of the multiplier selects the multiple. Numbers within
    :func:`short_acc_range` need a step less.

    Parameters
    ----------
    cycles : :class:`int`
        2, 3, 4 or 6.
    bits : :class:`int`
        Width of ``acc + bias``; larger values wrap.
    varies : :class:`bool`
        As of :class:`Rounding`.

    Members
    -------
    enable : ``In(1)``
        Advances all registers.
    load : ``In(1)``
        Takes ``acc`` and ``bias``; the first step comes in the next enabled cycle.
    acc, bias : ``In(signed(32))``
    step : ``In(range(cycles))``
        The step of this cycle, if it does one; 0 follows the last one.
    params : ``In(ChannelParams)``
        Those, but for the bias, of the number whose step was in the last enabled cycle.
    narrow : ``In(1)``
        The number whose last step was three enabled cycles ago had one step less than ``cycles``.
    range : ``In(OutputRange)``
        As of :class:`Rounding`.
    o : ``Out(signed(8))``
        The result, ``latency`` enabled cycles after the last step.
    """

    latency = 3 + Rounding.latency

    def __init__(self, *, cycles, bits=32, varies=False):
        self.varies = boolean("varies", varies)
        self.cycles = one_of("cycles", cycles, (2, 3, 4, 6))
        self.bits = integer("bits", bits, 16, 32)
        self.digit_bits = _digit_bits(self.cycles, self.bits)
        super().__init__({
            "enable": In(1),
            "load": In(1),
            "acc": In(signed(32)),
            "bias": In(signed(32)),
            "step": In(range(self.cycles)),
            "params": In(ChannelParams),
            "narrow": In(1),
            "range": In(OutputRange),
            "o": Out(signed(8)),
        })

    def elaborate(self, platform):
        m = Module()
        x = Signal(signed(self.bits), reset_less=True)
        with m.If(self.enable & self.load):
            m.d.sync += x.eq(self.acc + self.bias)

        groups = self._products(m, self._recode(m, x))
        first = pipeline(m, self.enable, self.step == 0, "first", 2)
        down = pipeline(m, self.enable, (self.params.shift != 0) & x[-1], "down")
        rest = self._accumulate(m, groups, first, down)
        scaled = rest >> 31 - self.digit_bits * (self.cycles - 1)
        if self.cycles > 2:
            scaled = Mux(self.narrow, rest >> 31 - self.digit_bits * (self.cycles - 2), scaled)
        m.submodules.rounding = rounding = Rounding(varies=self.varies)
        m.d.comb += [
            rounding.enable.eq(self.enable),
            rounding.scaled.eq(scaled),
            rounding.shift.eq(pipeline(m, self.enable, self.params.shift, "shift", 2)),
            rounding.range.eq(self.range),
            self.o.eq(rounding.o),
        ]
        return m

    def _recode(self, m, x):
        """Digits of this cycle's step, registered, in two's complement."""
        chunks = Cat(x, x[-1].replicate(self.digit_bits * self.cycles - self.bits))
        chunk, carry = Signal(self.digit_bits), Signal(reset_less=True)
        m.d.comb += chunk.eq(chunks.word_select(self.step, self.digit_bits))
        digits, borrow = [], carry & (self.step != 0)
        for position in range(0, self.digit_bits, 2):
            low, high = chunk[position:position + 2]
            value = Cat(low ^ borrow, high ^ (low & borrow))
            digits.append(pipeline(m, self.enable, value, f"digit_{position}"))
            borrow = high | (low & borrow)  # 2 is -2 and a carry, 3 is -1, 4 is 0
        with m.If(self.enable):
            m.d.sync += carry.eq(borrow)
        return digits

    def _products(self, m, digits):
        """Products with up to three digits each, registered: for each the bit that it begins at,
        the product, and 1 if 1 is to be added to it."""
        groups, factor = [], Cat(self.params.multiplier, 0).as_signed()
        for start in range(0, len(digits), 3):
            total, low = None, []
            for index, digit in enumerate(digits[start:start + 3], start):
                part = Signal(signed(MULTIPLIER_WIDTH + 2), name=f"part_{index}")
                with m.Switch(digit):
                    with m.Case(1):
                        m.d.comb += part.eq(factor)
                    with m.Case(2):
                        m.d.comb += part.eq(~(factor << 1))
                    with m.Case(3):
                        m.d.comb += part.eq(~factor)
                if total is not None:
                    part = _add(total, part, digit[1])
                total = Signal(part.shape(), name=f"sum_{index}")
                m.d.comb += total.eq(part)
                low.append(total[:2])
                total = total >> 2
            one = pipeline(m, self.enable, digits[start][1], f"one_{start}")
            product = pipeline(m, self.enable, Cat(*low, total), f"product_{start}").as_signed()
            groups.append((2 * start, product, one))
        return groups

    def _accumulate(self, m, groups, first, down):
        """The sum. Each step but the last drops ``digit_bits`` bits of it."""
        bits, width = self.digit_bits, MULTIPLIER_WIDTH + 1
        rest = Signal(signed(width + bits), reset_less=True)
        constant = Cat(Const(0, 30), Const(1, 1), down, down).as_signed()  # +- 2^30
        total, low = Signal(signed(width), name="start"), []
        m.d.comb += total.eq(Mux(first, constant, rest >> bits))
        for number, (start, product, one) in enumerate(groups):
            end = groups[number + 1][0] if number + 1 < len(groups) else bits
            named = Signal(signed(width + end - start), name=f"total_{start}")
            m.d.comb += named.eq(_add(total, product, one))
            low.append(named[:end - start])
            total = named >> end - start
        with m.If(self.enable):
            m.d.sync += rest.eq(Cat(*low, total))
        return rest
