"""What happens to the sums: accumulators, and requantisation to int8."""

from rtl.postprocess.accumulators import Accumulators, AccumulatorTag
from rtl.postprocess.requantizer import Requantizer
from rtl.postprocess.serial import short_acc_range

__all__ = ["AccumulatorTag", "Accumulators", "Requantizer", "short_acc_range"]
