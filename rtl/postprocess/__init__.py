"""Accumulation of sums, and requantisation to int8."""

from rtl.postprocess.accumulators import Accumulators, AccumulatorTag
from rtl.postprocess.pipelined import ROUNDINGS
from rtl.postprocess.requantizer import Requantizer
from rtl.postprocess.serial import short_acc_range

__all__ = ["ROUNDINGS", "AccumulatorTag", "Accumulators", "Requantizer", "short_acc_range"]
