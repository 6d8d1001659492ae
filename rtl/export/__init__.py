"""Export of components as RTLIL and as Verilog."""
