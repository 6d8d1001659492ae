"""The runtimes whose bytes the hardware has to give, and results held against theirs."""
