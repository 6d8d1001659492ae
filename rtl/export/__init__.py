"""Components as RTLIL and as Verilog."""
