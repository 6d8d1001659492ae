"""Payloads that two or more units exchange."""

from amaranth import *
from amaranth.lib import data

__all__ = ["bytes_of", "sums_of", "ChannelParams", "OutputRange", "MULTIPLIER_WIDTH",
           "SHIFT_WIDTH"]

#: ``M << e`` of the fixed-point multiplier: 31 bits, and up to 3 bits of left shift.
MULTIPLIER_WIDTH = 34
SHIFT_WIDTH = 5


def bytes_of(count):
    """Layout of ``count`` int8, lane 0 in the low bits."""
    return data.ArrayLayout(signed(8), count)


def sums_of(count):
    """Layout of ``count`` accumulators, each of a channel; ``last`` ends a channel group."""
    return data.StructLayout({"acc": data.ArrayLayout(signed(32), count), "last": 1})


class ChannelParams(data.Struct):
    """The parameters by which an output channel is requantised.

    ``bias`` is added to the accumulator; the sum times ``multiplier``, an unsigned number with 31
    fractional bits, is rounded to an integer, and that is shifted right by ``shift`` with rounding.
    For the float32 rounding ``multiplier`` holds the bits of a float32, and ``shift`` is unused.
    """

    bias: signed(32)
    multiplier: MULTIPLIER_WIDTH
    shift: SHIFT_WIDTH


class OutputRange(data.Struct):
    """Zero point of an output tensor, and the clamp of its activation function."""

    zero_point: signed(8)
    low: signed(8)
    high: signed(8)
