"""The weight-stationary systolic array: cells, skew, weight loading, deskew."""

from rtl.array.cell import Cell
from rtl.array.systolic import SystolicArray
from rtl.stream.delay import Delay

__all__ = ["Cell", "Delay", "SystolicArray"]
