"""Carry chains whose look-up tables do more than an adder's: one table per bit, by hand.

Synthesis tools map ``a + b`` to a chain, and whatever makes ``a`` and ``b`` to tables of its own.
The chains here form the products of bits which a multiplier adds up in the very tables that feed
the carry.
"""

from amaranth import *

__all__ = ["add_ecp5", "add_ice40"]


def _table(function):
    """Contents of a table with four inputs; the first is the lowest bit of the address."""
    return Const(sum(function(*(index >> bit & 1 for bit in range(4))) << index
                     for index in range(16)), 16)


# Where an ECP5's table is 0, the carry out is what its lowest four bits say of a and b alone.
# These are also the table for c = d = 0; so a difference has its subtrahend in a and b.
_SUM = _table(lambda a, b, c, d: a & b ^ c & d)
_DIFFERENCE = _table(lambda a, b, c, d: a & b ^ c & d ^ 1)


def add_ecp5(m, name, addends, *, subtract=False):
    """Sum of two numbers, each a list of bits gated by a list of bits, in ``CCU2C``.

    ``addends`` has ``(a, b, c, d)`` for each bit, the lowest first; the result, as wide, is the
    number whose bits are ``c & d`` plus the one whose bits are ``a & b``, or minus it with
    ``subtract``. A bit takes one table.
    """
    total = Signal(len(addends), name=name)
    carry = Const(subtract)
    for low in range(0, len(addends), 2):
        halves = [*addends[low:low + 2], (Const(0),) * 4][:2]
        sums = Signal(2, name=f"{name}_{low}_sum")
        carry_out = Signal(name=f"{name}_{low}_carry")
        m.submodules[f"{name}_{low}"] = Instance(
            "CCU2C",
            *(("p", f"INIT{half}", _DIFFERENCE if subtract else _SUM) for half in range(2)),
            *(("p", f"INJECT1_{half}", "NO") for half in range(2)),
            *(("i", f"{pin}{half}", value) for half, pins in enumerate(halves)
              for pin, value in zip("ABCD", pins, strict=True)),
            *(("o", f"S{half}", sums[half]) for half in range(2)),
            i_CIN=carry, o_COUT=carry_out)
        m.d.comb += total[low:low + 2].eq(sums)
        carry = carry_out
    return total


# The carry of an iCE40 sees a and b themselves; so gate is one bit for the whole number, and
# selects the sum or a, whatever the carry does.
_GATED = _table(lambda gate, a, b, carry: a ^ gate & (b ^ carry))
_GATED_INVERTED = _table(lambda gate, a, b, carry: a ^ gate & (b ^ carry) ^ 1)


def add_ice40(m, name, a, b, gate, *, inverted=0):
    """``a + b`` if ``gate`` else ``a``, as wide as both, in ``SB_CARRY``; a bit takes one cell.

    The bits of the result that are set in ``inverted`` come inverted.
    """
    total = Signal(len(a), name=name)
    carry = Const(0)
    for bit in range(len(a)):
        m.submodules[f"{name}_{bit}_sum"] = Instance(
            "SB_LUT4", p_LUT_INIT=_GATED_INVERTED if inverted >> bit & 1 else _GATED,
            i_I0=gate, i_I1=a[bit], i_I2=b[bit], i_I3=carry, o_O=total[bit])
        carry_out = Signal(name=f"{name}_{bit}_carry")
        m.submodules[f"{name}_{bit}_carry"] = Instance(
            "SB_CARRY", i_I0=a[bit], i_I1=b[bit], i_CI=carry, o_CO=carry_out)
        carry = carry_out
    return total
