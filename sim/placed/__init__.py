"""Placed and routed netlists, as nextpnr writes them, as Verilog that can be simulated."""
