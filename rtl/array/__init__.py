"""The weight-stationary systolic array: cells, skew, weights, deskew."""

from rtl.array.cell import Cell
from rtl.array.delay import Delay
from rtl.array.systolic import SystolicArray

__all__ = ["Cell", "Delay", "SystolicArray"]
