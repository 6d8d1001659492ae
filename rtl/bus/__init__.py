"""The accelerator on a bus: AXI4-Lite or Wishbone for control, AXI4-Stream for data."""

from rtl.bus.core import BusAccelerator
from rtl.bus.registers import STREAMS, StreamRegister

__all__ = ["STREAMS", "BusAccelerator", "StreamRegister"]
